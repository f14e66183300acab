// Package dvmrp is the Distance Vector Multicast Routing Protocol, version 3 (draft-ietf-idmr-dvmrp-v3-11), as an
// engine.Machine. It is a protocol of IPv4 alone.
package dvmrp
