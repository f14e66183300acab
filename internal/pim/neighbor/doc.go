// Package neighbor is what PIM sparse and dense mode share on an interface: Hello messages and what follows from them,
// RFC 7761 section 4.3. It is a part of a protocol's Machine, not a Machine: the Machine makes one Interface for each
// interface that PIM is configured on, hands it what concerns it, and is called back through Env.
//
//	Machine                          Interface
//	InterfaceChange  --Update----->  starts, stops, changes its addresses
//	Configure        --Configure-->  new priority, delays, period
//	a Hello          --Receive---->  neighbors, DR, LAN delays     --NeighborUp, DRChanged ...--> Machine
//	before a Join/Prune or Assert  --HelloBeforeJoin-->            --Send------------------------> Machine
//	Shutdown, PIM disabled  --Stop-->  goodbye
//
// # Files
//
//   - config.go: Config
//   - iface.go: Env and Interface: when it runs, from which addresses it speaks
//   - neighbor.go: Neighbor, the table of neighbors by every address (NBR), secondary address lists
//   - macros.go: the functions of sections 4.3.2 and 4.3.3: DR, effective delays, suppression; t_override, t_suppressed
//   - receive.go: a Hello comes in
//   - transmit.go: the Hello timer, triggered Hellos, goodbyes
//   - show.go: state for people
//
// # Main rules
//
//   - All state is changed first, then the callbacks are called, so that a callback sees the interface as it is now.
//     A callback may call the look-ups and HelloBeforeJoin, nothing else.
//
//   - The interface is a host member of ALL-PIM-ROUTERS while it runs: the package emits the HostGroup.
//
//   - A Hello is sent at once if what we would say differs from what we last said: a new priority, a new secondary
//     address. The Hello timer is not touched by that (section 4.3.1).
//
//   - Where both modes of PIM run on an interface, sparse mode's machine speaks Hello for both, and dense mode's is
//     Silent: it learns the same neighbors, whose Hellos both machines see.
//
// # Supported standards
//
//   - RFC 7761 section 4.3: Designated Routers and Hello messages, with the options Holdtime, LAN Prune Delay, DR
//     Priority, Generation ID and Address List
//   - RFC 3973 section 4.3, with the option State Refresh Capable
//
// # Known gaps
//
//   - A Hello is not split if the list of our secondary addresses is longer than the MTU: IP fragments it.
//   - A Silent interface cannot have a Hello sent before a Prune or Graft to a neighbor that has not heard of us: the
//     message is lost on it if it comes within Triggered_Hello_Delay of the start.
//   - Hellos with holdtime 0xffff cannot be refused by configuration, and such a neighbor cannot be removed by hand.
package neighbor
