package engine

import "net/netip"

// This file lists what crosses the edge of a router: between its machines and the kernel, the simulator or a person.

// ---- time and configuration ----

// Tick is nothing but time: a deadline has come.
type Tick struct{}

// Settled ends a batch of inputs: now aggregate and send, now write the table.
type Settled struct{}

// Configure hands a machine its whole new configuration: the Config type of its package, already validated. A machine
// that has one already changes what differs and leaves the rest alone.
type Configure struct {
	To     MachineID
	Config any
}

// Shutdown asks a machine to say goodbye (a Hello with holdtime 0, a last prune ...). Nothing follows but the end.
type Shutdown struct{}

// ---- interfaces and unicast routes ----

// Interface is the full state of an interface. The event that carries it replaces all that was known.
type Interface struct {
	ID           IfID
	Name         string
	Up           bool // administratively
	Carrier      bool // the lower layer works
	Loopback     bool
	Multicast    bool
	PointToPoint bool
	// TunnelLocal and TunnelRemote are the outer addresses of an IP-in-IP tunnel (RFC 2003); invalid for other interfaces.
	TunnelLocal, TunnelRemote netip.Addr
	MTU                       int            // bytes, IP header included
	Addrs                     []netip.Prefix // of both families, in the kernel's order: the first of a family is its primary address
}

// Running says whether packets can pass.
func (i *Interface) Running() bool { return i.Up && i.Carrier }

// Primary returns the address that protocols of family f speak from: the first IPv4 address, or the lowest IPv6
// link-local address (RFC 7761 section 4.3.1: Hellos are sent from the link-local address). Invalid if there is none.
func (i *Interface) Primary(f Family) netip.Addr {
	var best netip.Addr
	for _, p := range i.Addrs {
		a := p.Addr()
		switch {
		case f == IPv4 && a.Is4():
			return a
		case f == IPv6 && a.Is6() && a.IsLinkLocalUnicast() && (!best.IsValid() || a.Less(best)):
			best = a
		}
	}
	return best
}

// HasAddr says whether a is one of the interface's own addresses.
func (i *Interface) HasAddr(a netip.Addr) bool {
	for _, p := range i.Addrs {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// OnLink says whether a is in one of the interface's subnets. Link-local addresses are on every link.
func (i *Interface) OnLink(a netip.Addr) bool {
	for _, p := range i.Addrs {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// InterfaceChange announces an interface, new or changed, or its end.
type InterfaceChange struct {
	Interface
	Gone bool
}

// NextHop is one way of a route: out of If, to Gateway or, if that is invalid, to the destination itself.
type NextHop struct {
	If      IfID
	Gateway netip.Addr
	Weight  int // 1 or more
}

// RouteChange is a unicast route of the kernel (or of the simulator's oracle), new, replaced or gone. A route is known
// by (table, prefix, metric); the hops are the whole list.
type RouteChange struct {
	Prefix netip.Prefix
	Metric uint32
	Hops   []NextHop // none: a blackhole or unreachable route, which hides shorter prefixes
	Origin string    // "connected", "kernel", "static", "ospf", "bgp" ... : the kernel's rtm_protocol by name
	Gone   bool
}

// ---- packets ----

// Protocol numbers of the Internet header that grove speaks.
const (
	ProtoIGMP   uint8 = 2
	ProtoUDP    uint8 = 17
	ProtoICMPv6 uint8 = 58
	ProtoPIM    uint8 = 103
)

// PortAutoRP is the UDP port of Auto-RP. It is the one protocol over UDP that a machine speaks: of UDP the driver hands up what is
// addressed to this port, and nothing else.
const PortAutoRP = 496

// Packet is a control packet that arrived. The driver has removed the IP header and checked nothing but its length:
// checksums of the payload are the protocol's to verify.
type Packet struct {
	If          IfID
	Src, Dst    netip.Addr
	Proto       uint8
	TTL         uint8 // or hop limit
	TOS         uint8 // or traffic class
	RouterAlert bool
	Payload     []byte
}

// Send asks the driver to send a control packet: the driver builds the IP header, the payload has its checksum.
type Send struct {
	If          IfID       // 0: the unicast route to Dst decides (Register, Register-Stop)
	Src         netip.Addr // invalid only for IPv4: the kernel chooses
	Dst         netip.Addr
	Proto       uint8
	TTL         uint8
	TOS         uint8
	RouterAlert bool
	Payload     []byte
}

// HostGroup asks the driver to be, or to be no longer, a host member of a group on an interface, so that the machine's packets
// arrive: a link-local one, or one of Auto-RP's.
type HostGroup struct {
	If     IfID
	Group  netip.Addr
	Member bool
}

// ---- streams: TCP ----

// StreamID names a stream of one machine. The machine numbers those that it opens, from 1; the driver numbers those that
// it accepts, with the highest bit set. Neither is used again.
type StreamID uint64

// StreamPeer is the far end of a stream, and what protects the stream.
type StreamPeer struct {
	Local, Remote netip.Addr
	Secret        string // of TCP MD5 (RFC 2385); empty: none
	MinTTL        uint8  // segments that arrive with less are dropped (GTSM, RFC 5082); 0: any. If not 0, ours leave with 255
}

// Listen lists the peers from which a machine accepts streams on a TCP port, whole: it replaces the list of before. A
// changed Secret holds for streams that are accepted from then on. Without peers the port is closed.
type Listen struct {
	Port  uint16
	Peers []StreamPeer
}

// OpenStream asks the driver to connect to a peer. StreamOpened or StreamClosed answers.
type OpenStream struct {
	ID   StreamID
	Peer StreamPeer
	Port uint16
}

// WriteStream asks the driver to send bytes. They wait as long as the peer does not read; StreamWritten says how many
// do, and it is the machine's to stop.
type WriteStream struct {
	ID   StreamID
	Data []byte
}

// CloseStream ends a stream: what was written still goes out, unless Reset is set. No event follows.
type CloseStream struct {
	ID    StreamID
	Reset bool
}

// StreamOpened says that a stream is there: one that was asked for, or one that a peer of Listen opened.
type StreamOpened struct {
	ID            StreamID
	Accepted      bool
	Local, Remote netip.AddrPort
}

// StreamData are bytes that arrived, at most 64 KiB. The driver reads no more of this stream before the machine has been
// handed them, and takes turns among streams: TCP slows down a peer that sends faster than the machine works.
type StreamData struct {
	ID   StreamID
	Data []byte
}

// StreamWritten says how many bytes that were written still wait in the driver, each time that some have left it.
type StreamWritten struct {
	ID      StreamID
	Waiting int
}

// StreamClosed says that a stream is over, or could not be opened. Err is empty if the peer closed it in good order.
type StreamClosed struct {
	ID  StreamID
	Err string
}

// ---- the kernel's multicast forwarding table, or its model in the simulator ----

// MaxVIFs is the number of virtual interfaces in a table of the Linux kernel, the register VIF included.
const MaxVIFs = 32

// VIF is a number in the kernel's table of multicast virtual interfaces (IPv6: MIF), 0 to MaxVIFs-1.
type VIF uint8

// SetVIF adds or deletes a VIF. Exactly one of If and Register is set when it is added.
type SetVIF struct {
	VIF      VIF
	If       IfID
	Register bool // the register interface: packets sent there come back as WholePkt upcalls
	Gone     bool
}

// Row is a row of the kernel's table. Origin and group are unspecified (0.0.0.0, ::) where the key has *.
type Row struct {
	Key    Key
	Parent VIF
	TTL    [MaxVIFs]uint8 // per VIF: the packet is sent there if its TTL is greater; 0: never
	Gone   bool           // delete the row; Parent and TTL are ignored
}

// SetRows adds, replaces or deletes rows, in order, in one batch.
type SetRows struct{ Rows []Row }

// ReadCounters asks for the counters of rows; Counters answers.
type ReadCounters struct{ Keys []Key }

// RowCounters are the counters of a row since it was installed.
type RowCounters struct {
	Key     Key
	Missing bool // the kernel has no such row
	Packets uint64
	Bytes   uint64
	WrongIf uint64 // of Packets, those that came in on a wrong interface
}

// Counters answers ReadCounters.
type Counters struct{ Rows []RowCounters }

// RowFailed says that the kernel refused a row or a VIF.
type RowFailed struct {
	Key Key
	VIF VIF
	// OfVIF says that a SetVIF failed, not a row.
	OfVIF bool
	Err   string
}

// UpcallKind is why the kernel hands up a packet (struct igmpmsg, struct mrt6msg).
type UpcallKind uint8

// The upcalls of Linux: IGMPMSG_NOCACHE, _WRONGVIF, _WHOLEPKT, _WRVIFWHOLE.
const (
	NoCache UpcallKind = iota + 1
	WrongVIF
	WholePkt
	WrongVIFWhole
)

// Upcall is a message of the forwarding plane about a data packet.
type Upcall struct {
	Kind     UpcallKind
	VIF      VIF // where the packet came in; for WholePkt the register VIF
	Src, Dst netip.Addr
	Packet   []byte // WholePkt, WrongVIFWhole: the whole IP packet as it arrived (TTL not decremented, checksums complete)
}

// Inject asks the driver to send a whole IP data packet, as it is, out of interfaces (the RP forwards what came in
// Registers by it). The packet is not looped back to this host, and its TTL is already decremented. What a protocol asks
// for goes by mfib, which takes off the interfaces that TTL thresholds and boundaries forbid, as it does for rows. If Fresh is
// set the packet did not come up from the forwarding plane but out of a tunnel, and mfib adds the outgoing interfaces that the
// other components want of its (S,G); a packet that came up it forwards for them by itself. If Own is set the packet is this
// router's own, as a host's would be: its TTL is what it is sent with, and it may leave by interfaces that are another protocol's.
type Inject struct {
	From   MachineID
	Out    []IfID
	Fresh  bool
	Own    bool
	Packet []byte
}

// ---- people ----

// Query asks a machine for its state; What is one of the names that the package's show.go lists, Arg what some of them
// take (an address). Answer has the ID.
type Query struct {
	To   MachineID
	ID   uint64
	What string
	Arg  string
}

// Answer answers a Query with a value of the type that the package's show.go gives for What; Err if there is none.
type Answer struct {
	From  MachineID
	ID    uint64
	Value any
	Err   string
}

// Transition is a change of state that a person may want to see: printed, streamed, asserted by tests. Fields that do
// not apply are zero.
type Transition struct {
	From     MachineID
	Entity   string // what changed: "neighbor", "DR", "upstream (*,G)", "downstream (S,G)", "register", "assert" ...
	If       IfID
	Neighbor netip.Addr
	Key      Key
	Old, New string // states by their names in the RFC
	Cause    string // in words: "receive Join(*,G)", "timer expires" ...
}

// Level is the weight of a Note.
type Level uint8

// Levels as an operator understands them; Debug is for single packets.
const (
	Debug Level = iota
	Info
	Warning
	Error
)

// Note is a line for the log.
type Note struct {
	From     MachineID
	Level    Level
	Text     string
	If       IfID
	Neighbor netip.Addr
	Key      Key
}

func (Tick) event()            {}
func (Settled) event()         {}
func (Configure) event()       {}
func (Shutdown) event()        {}
func (InterfaceChange) event() {}
func (RouteChange) event()     {}
func (Packet) event()          {}
func (Counters) event()        {}
func (RowFailed) event()       {}
func (Upcall) event()          {}
func (Query) event()           {}
func (Inject) event()          {}
func (StreamOpened) event()    {}
func (StreamData) event()      {}
func (StreamWritten) event()   {}
func (StreamClosed) event()    {}

func (Send) effect()         {}
func (HostGroup) effect()    {}
func (SetVIF) effect()       {}
func (SetRows) effect()      {}
func (ReadCounters) effect() {}
func (Inject) effect()       {}
func (Listen) effect()       {}
func (OpenStream) effect()   {}
func (WriteStream) effect()  {}
func (CloseStream) effect()  {}
func (Answer) effect()       {}
func (Transition) effect()   {}
func (Note) effect()         {}
