package engine

import (
	"fmt"
	"net/netip"
	"time"
)

// Machine is what every protocol is (see the package essay).
type Machine interface {
	// Step fires what is due by now, then handles ev, and returns what follows. The slice may be reused at the next
	// Step; what an effect points at never changes. now never goes back.
	Step(now time.Time, ev Event) []Effect
	// Deadline says when Step must be called again, at the latest (with Tick if nothing else happens); false: never.
	Deadline() (time.Time, bool)
}

// Event is what a machine is told. All kinds are in outside.go and inside.go.
type Event interface{ event() }

// Effect is what a machine asks for. All kinds are in outside.go and inside.go.
type Effect interface{ effect() }

// Family is an IP address family.
type Family uint8

// The two address families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// FamilyOf returns the family of a. An IPv4-mapped IPv6 address is IPv6: unmap at the edge.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// String returns "ipv4" or "ipv6".
func (f Family) String() string { return fmt.Sprintf("ipv%d", uint8(f)) }

// Protocol names a kind of machine: "mfib", "rib", "igmp", "pimsm" ... The igmp machine of IPv6 speaks MLD.
type Protocol string

// The kinds of machine, and BGP.
const (
	MFIB  Protocol = "mfib"
	RIB   Protocol = "rib"
	IGMP  Protocol = "igmp"
	PIMSM Protocol = "pimsm"
	PIMDM Protocol = "pimdm"
	DVMRP Protocol = "dvmrp"
	MSDP  Protocol = "msdp"
	BGP   Protocol = "bgp" // no machine: the driver embeds a speaker, whose best multicast routes are told to rib
)

// MachineID names one machine of a router. There is one per (protocol, family, table). The zero value is the outside
// world, or, as an addressee, "whoever it concerns".
type MachineID struct {
	Protocol Protocol
	Family   Family
	Table    uint32 // the kernel's multicast routing table; 0 is the default table
}

// String returns "pimsm/ipv4", or "pimsm/ipv4/7" for a table other than the default.
func (id MachineID) String() string {
	if id.Table == 0 {
		return fmt.Sprintf("%s/%v", id.Protocol, id.Family)
	}
	return fmt.Sprintf("%s/%v/%d", id.Protocol, id.Family, id.Table)
}

// Addressed is an event from outside for one machine of a router: daemon/router hands it on. Drivers address what only
// they can tell apart: an upcall of the IPv6 table, a packet of a protocol's socket.
type Addressed struct {
	To    MachineID
	Event Event
}

// Outward is an effect that leaves a router, with the machine that asked for it.
type Outward struct {
	From   MachineID
	Effect Effect
}

func (Addressed) event() {}
func (Outward) effect()  {}

// IfID is grove's own number of an interface: given at its first appearance, kept while the router runs, never reused
// and never an ifindex. 0 is no interface.
type IfID uint32

// Key names a forwarding entry: (S,G); (*,G) with an invalid Source; (*,*) with both invalid.
type Key struct {
	Source netip.Addr
	Group  netip.Addr
}

// StarG returns the key (*,g).
func StarG(g netip.Addr) Key { return Key{Group: g} }

// SG returns the key (s,g).
func SG(s, g netip.Addr) Key { return Key{Source: s, Group: g} }

// Compare orders keys by group and then by source; * comes first.
func (k Key) Compare(o Key) int {
	if c := k.Group.Compare(o.Group); c != 0 {
		return c
	}
	return k.Source.Compare(o.Source)
}

// String returns "(10.0.0.1,232.1.1.1)", "(*,239.1.1.1)" or "(*,*)".
func (k Key) String() string { return "(" + star(k.Source) + "," + star(k.Group) + ")" }

func star(a netip.Addr) string {
	if !a.IsValid() {
		return "*"
	}
	return a.String()
}
