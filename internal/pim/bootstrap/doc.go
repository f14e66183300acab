// Package bootstrap is the Bootstrap Router (BSR) mechanism of PIM, RFC 5059, for one address family: the election of the BSR
// of each scope zone, the advertisement of Candidate-RPs, and the distribution of the RP-Set by Bootstrap messages. It is a
// part of a Machine: pimsm lends it interfaces, timers and the MRIB (Env), hands it messages, and is told the mappings of groups
// to RPs that hold now (Mapping).
//
// # How it works
//
// There is one zone for the whole domain (non-scoped), and one for each administrative scope that is configured or heard of.
// Each has the state machine of section 3.1.1 if this router is a Candidate-BSR for it, and else that of 3.1.2. A Bootstrap
// message that passes the checks of 3.1.3 is an event of its zone's machine; what it says of RPs is stored in the zone.
//
//   - instance.go: Instance, Env, a new configuration
//   - zone.go: the state machines (3.1.1, 3.1.2), the Bootstrap Timer, BS_Rand_Override
//   - receive.go: the processing checks (3.1.3) and events (3.1.4) of Bootstrap messages; forwarding (3.4); new and rebooting
//     neighbors (3.5)
//   - rpset.go: Store RP-Set, with the reassembly of semantic fragments (3.1.5, 3.6, 4.1.1)
//   - elected.go: C-RP-Advs at the BSR, and the messages that it originates (3.3)
//   - candidate.go: C-RP-Advs of our own (3.2)
//   - show.go: state for people
//
// # Supported standards
//
//   - RFC 5059, IPv4 and IPv6, non-scoped and scoped
//
// # Choices
//
//   - A BSR originates a message at once when its RP-Set changes, unless the last is younger than BS_Min_Interval; section 3.3
//     suggests to wait for BS_Min_Interval in any case. So an RP that goes is known to all without the wait.
//   - A group range is a BIDIR one or one of sparse mode. Where C-RPs offer both, BIDIR ones alone are announced (section 3.3).
//   - The RP-Set holds all C-RPs that were accepted: there is no policy that picks among them but the list of those that are
//     accepted at all, and the bounds.
//   - What C-RPs offered to the BSR of a scope is forgotten when that is another. The BSR of the domain, if we are that, does not
//     announce it instead: on the other side of the border nobody may use it. C-RPs tell the new BSR.
//   - An empty message changes neither mappings nor the hash mask length, as section 3.1.5 says; but it is the last message of its
//     BSR, which new neighbors are given. Otherwise they would be given that of the BSR before.
//   - "Any previous BSM for this scope has been accepted" (section 3.1.3) does not mean another fragment of the same message.
//
// # Known gaps
//
//   - C-RP-Advs of several zones with one BSR are not combined into one message (a MAY of section 3.2).
//   - A Bootstrap message is forwarded as it came: one that does not fit into the next link is fragmented by IP.
//   - Registers are not slowed down when ICMP says that the RP is unreachable (section 6.2).
//   - Messages are not authenticated (section 6.3.2); unicast messages are not rate-limited (section 6.5).
package bootstrap
