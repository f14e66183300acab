// Package autorp is Auto-RP, by which the routers of a domain learn which RP serves which groups: "Auto-RP: Automatic discovery
// of Group-to-RP mappings for IP multicast" (Farinacci and Wei, 1998), version 1+. It is a part of a protocol's Machine, not a
// Machine: pimsm makes one AutoRP, hands it what concerns it, and is called back through Env. It is of IPv4, as the protocol is.
//
//	pimsm                                 AutoRP
//	Configure          --Configure----->  candidates and agent start, change, end
//	a datagram         --Receive------->  announcements, mappings   --Changed--> pimsm takes Mappings
//	addresses changed  --AddressesChanged>                          --Send-----> a datagram to a group
//	a PIM neighbor up  --NeighborUp---->
//
// # Roles
//
//   - A candidate RP announces itself, with the groups that it would serve, to the group 224.0.1.39 (section 3.1).
//   - A mapping agent collects the announcements, decides which RP serves which range of groups, and says so to the group
//     224.0.1.40 (section 3.2). Of several agents that hear each other the one with the highest address speaks.
//   - A listener takes what the agents say.
//
// A router may be all of these. What it sends as a candidate or an agent it hears itself.
//
// # Files
//
//   - autorp.go: AutoRP, Env, what comes in; config.go: Config
//   - candidate.go: candidate RPs; agent.go: the mapping agent; listener.go: the mappings
//   - show.go: state for people
//   - wire: the messages
//
// # Where the draft leaves a choice
//
//   - Agents that do not hear each other, because their scopes differ, may say different things. A listener keeps what each says, and
//     of one range of groups believes the agent with the highest address, as the agents themselves would.
//   - An agent that hears one with a higher address is silent for five sixths of the holdtime of what it heard: it speaks again before
//     what the other said is forgotten.
//   - What has a holdtime of 0 never times out. If another agent speaks of the same range, and the first one has not for three
//     times a minute, the other is believed.
//   - No announcement takes another back: an RP that a candidate is no more goes when the holdtime of what it last said is over.
//   - Rule 3 of section 3.2 has the agent leave out a range that lies within another one of the same RP. We leave it out only where
//     that changes nothing: if a range of another RP lies between the two it is said.
//   - An agent speaks as soon as what it has to say changes, a second at most later, and not only once a minute; it and the
//     candidates speak again three seconds after a PIM neighbor appears, which has not heard the last message.
//
// # Supported standards
//
//   - The draft, but for section 3.3's way to carry the two groups in sparse mode: they are dense, as section 8 prefers.
//
// # Known gaps
//
//   - Messages are not authenticated: whoever can send to the groups is believed. Agents can be told by configuration which RPs to
//     accept; that the groups cross no border of the domain is for boundaries to see to.
package autorp
