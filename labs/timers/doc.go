// Package timers tests every timer of the protocols at the default that its RFC gives: small networks in the simulator,
// time-scale 1, configurations in which nothing is overridden, in IPv4 and IPv6. It has only tests.
//
//   - timers_test.go: the table of all timers, and the tests that it is whole and right
//   - network_test.go: the networks, and what is seen of their messages
//   - pim_test.go, dense_test.go, dvmrp_test.go, igmp_test.go, mfib_test.go: what each timer does
package timers
