// Package kernel is the Linux back end of mfib: it carries out its effects on the kernel's multicast routing tables and
// reads what the kernel reports. daemon/host calls it; no protocol code does.
//
// # Files
//
//   - table.go: Table, Open, Close, SetVIF
//   - rows.go: SetRows by the multicast routing socket, and the choice between the two writers
//   - netlink.go: the netlink socket, and SetRows by batches of messages (IPv4)
//   - dump.go: Dump, the one reading of the whole table at start
//   - rules.go: which packets are looked up in a table other than the default
//   - counters.go: ReadCounters
//   - read.go: Read: upcalls, and IGMP, which arrives on the same socket
//   - inject.go: Inject
//   - abi.go: the constants and structs of the kernel that golang.org/x/sys lacks
//
// # What to know of Linux
//
//   - One process owns a table: from MRT_INIT until its last descriptor closes, which empties the table.
//   - IPv4 rows are written by netlink in batches, of which only the last message asks for an acknowledgment; an
//     error within still gets its own answer. Without CAP_NET_ADMIN they are written by setsockopt like VIFs and IPv6
//     rows, for which Linux has no netlink.
//   - In a written row nexthop i is VIF i with its TTL threshold; a bit is kept only if that VIF exists at that moment,
//     so VIFs come before rows. In a dumped row the list is sparse and has interface indexes.
//   - Netlink refuses an empty list of nexthops, so a negative row has none, and one of all 32, so a row that names
//     VIF 31 goes by setsockopt.
//   - A packet waits for a row of its own (S,G) only: a (*,G) row that comes later does not release it.
//   - A packet from an interface without a VIF is nothing in IPv4; in IPv6 it counts as wrong in its own (S,G) row.
//   - This router's own packets pass its table as if they had arrived on the interface that they leave by. From a
//     wrong one they are neither counted nor told in IPv4; in IPv6 they are.
//   - The default table is 253 in IPv4 and 254 in IPv6.
//   - (*,G) and (*,*) rows are written like others, with 0.0.0.0 or :: for *. The _PROXY variants (RTA_PREFSRC) make a
//     second row beside one that has another parent; a row of ours replaces, so they are not used.
//   - A VIF that is deleted, or whose device goes, leaves its bit in the rows, and whoever gets its number receives
//     their traffic.
//   - IPv6 has no TTL thresholds: every one acts as 1.
//   - Packets of whole-packet upcalls come as they arrived: TTL not decremented, and over veth with an unfinished
//     UDP or TCP checksum, which Read completes.
//
// # Known gaps
//
// VIFs of a table that was inherited from another process are not read back. IPv6 VIFs need an interface index of at
// most 65535 (struct mif6ctl). Packets bigger than the outgoing interface's MTU are refused by Inject: Linux does not
// fragment what has its own header. A packet that segmentation offload made bigger than the MTU comes up as it is.
package kernel
