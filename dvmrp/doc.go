// Package dvmrp is the Distance Vector Multicast Routing Protocol, version 3 (draft-ietf-idmr-dvmrp-v3-11). It is a protocol
// of IPv4 alone. It is not finished: package wire reads and writes its messages.
//
// # Files
//
//   - under the build tag "unfinished", which nothing sets: config.go, what is to be configurable, with the draft's
//     defaults, and show.go, what is to be told of the state
//
// # Known gaps
//
//   - There is no machine: nothing is routed by DVMRP, and no configuration asks for it.
package dvmrp
