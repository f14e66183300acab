package neighbor

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
)

// Neighbor is a PIM router on the other side of an interface (RFC 7761 sections 4.3.2 to 4.3.4). Its fields are for
// reading only.
type Neighbor struct {
	Interface *Interface
	Address   netip.Addr // primary_ip_address: where its Hellos come from, what a Join/Prune names as upstream
	Since     time.Time  // of its first Hello
	Holdtime  time.Duration

	GenerationIDPresent bool
	GenerationID        uint32
	DRPriorityPresent   bool
	DRPriority          uint32

	LANPruneDelayPresent bool
	TrackingSupport      bool
	PropagationDelay     time.Duration
	OverrideInterval     time.Duration

	StateRefreshCapable  bool // RFC 3973 section 4.7.5.4
	StateRefreshInterval time.Duration

	secondary []netip.Addr // secondary_address_list, sorted
	liveness  engine.Timer // NLT(N,I)
}

// Secondary returns a copy of the neighbor's secondary addresses, sorted.
func (n *Neighbor) Secondary() []netip.Addr { return slices.Clone(n.secondary) }

// Neighbor is the macro NBR(I,A) of RFC 7761 section 4.1.5: the neighbor that has the primary or secondary address a,
// or nil.
func (i *Interface) Neighbor(a netip.Addr) *Neighbor {
	if n := i.neighbors[a]; n != nil {
		return n
	}
	return i.owners[a]
}

// Neighbors returns the neighbors by their primary addresses.
func (i *Interface) Neighbors() []*Neighbor {
	list := make([]*Neighbor, 0, len(i.neighbors))
	for _, n := range engine.SortedAddrs(i.neighbors) {
		list = append(list, n)
	}
	return list
}

// forget takes a neighbor out of all tables.
func (i *Interface) forget(n *Neighbor) {
	i.env.Timers.Stop(&n.liveness)
	delete(i.neighbors, n.Address)
	for _, a := range n.secondary {
		delete(i.owners, a)
	}
}

// remove ends a neighbor, and tells it.
func (i *Interface) remove(now time.Time, n *Neighbor, cause string) {
	i.forget(n)
	i.changed(now, cause, func() { i.down(now, n, cause) })
}

func (i *Interface) up(now time.Time, n *Neighbor) {
	i.transition(n, "down", "up", "receive Hello")
	i.env.NeighborUp(now, n)
}

func (i *Interface) down(now time.Time, n *Neighbor, cause string) {
	i.transition(n, "up", "down", cause)
	i.env.NeighborDown(now, n)
}

func (i *Interface) restarted(now time.Time, n *Neighbor) {
	i.transition(n, "up", "up", "new Generation ID")
	i.env.NeighborRestarted(now, n)
}

func (i *Interface) transition(n *Neighbor, from, to, cause string) {
	i.env.Emit(engine.Transition{
		From: i.env.ID, Entity: "neighbor", If: i.env.If, Neighbor: n.Address, Old: from, New: to, Cause: cause,
	})
}

// setSecondary replaces the secondary addresses of n by those of list that it can have. It says whether the owner of
// any address changed.
func (i *Interface) setSecondary(now time.Time, n *Neighbor, list []netip.Addr) bool {
	// An address that becomes primary is no longer a secondary one of anybody else.
	changed := i.take(now, n, n.Address)
	fresh := make([]netip.Addr, 0, len(list))
	for _, a := range list {
		if !i.usable(a) || a == n.Address || slices.Contains(fresh, a) {
			continue
		}
		if len(fresh) == i.cfg.maxSecondaryAddresses() {
			i.drop(n.Address, "too many secondary addresses")
			break
		}
		// Primary addresses are known from the packets themselves, so they win over what somebody else lists.
		if other := i.neighbors[a]; other != nil {
			i.warn(now, n, a, other.Address)
			continue
		}
		if i.link.HasAddr(a) {
			i.warn(now, n, a, i.primary)
			continue
		}
		fresh = append(fresh, a)
	}
	for _, a := range n.secondary {
		if !slices.Contains(fresh, a) {
			delete(i.owners, a)
			changed = true
		}
	}
	for _, a := range fresh {
		// RFC 7761, section 4.3.4: only the most recently received mapping is maintained.
		changed = i.take(now, n, a) || changed
		if i.owners[a] != n {
			i.owners[a] = n
			changed = true
		}
	}
	slices.SortFunc(fresh, netip.Addr.Compare)
	n.secondary = fresh
	return changed
}

// take takes a secondary address from a neighbor other than n. It says whether there was one.
func (i *Interface) take(now time.Time, n *Neighbor, a netip.Addr) bool {
	other := i.owners[a]
	if other == nil || other == n {
		return false
	}
	i.warn(now, n, a, other.Address)
	delete(i.owners, a)
	other.secondary = slices.DeleteFunc(slices.Clone(other.secondary), func(b netip.Addr) bool { return b == a })
	return true
}

// usable says whether a can be an address of a neighbor: a unicast address of our family. RFC 7761, section 4.3.4: the
// family SHOULD be that of the packet; others are of no use to us.
func (i *Interface) usable(a netip.Addr) bool {
	return engine.FamilyOf(a) == i.env.ID.Family && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback()
}

// conflictPause is the least time between two warnings about addresses on one interface.
const conflictPause = time.Minute

// warn counts a secondary address that two routers claim, and tells the operator, but not too often.
func (i *Interface) warn(now time.Time, n *Neighbor, a, other netip.Addr) {
	i.env.Counts.Add("secondary address conflict")
	if !i.conflict.IsZero() && now.Before(i.conflict.Add(conflictPause)) {
		return
	}
	i.conflict = now
	i.env.Emit(engine.Note{
		From: i.env.ID, Level: engine.Warning, If: i.env.If, Neighbor: n.Address,
		Text: fmt.Sprintf("address %v is claimed by %v and by %v", a, n.Address, other),
	})
}
