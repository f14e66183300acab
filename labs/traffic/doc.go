// Package traffic sends and receives the test packets of internal/probe on real sockets: grove send and grove recv, and
// the hosts of labs in network namespaces.
//
// Both ends are opened in the network namespace of the calling thread and can be used from any goroutine afterwards. A
// Receiver is a member of its group when Listen returns. Nothing needs a sysctl; with CAP_NET_ADMIN the receive buffer
// may be larger than the system's limit.
//
// # Files
//
//   - send.go: Sender
//   - recv.go: Receiver, Account
//   - socket.go: options of sockets that the standard library has no names for
//
// # Known gaps
//
//   - Linux only.
//   - The time of arrival is the kernel's, the time of sending is taken before the packet enters it: latency includes
//     the sender's own system call.
package traffic
