package host

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"

	"grove/internal/engine"
	"grove/pimsm"
)

// drivers are the sockets and multicast tables that the machines need, and the goroutines that read them.
type drivers struct {
	sockets map[socketKey]*driven
	planes  map[engine.MachineID]*plane // by the mfib machine
	groups  map[engine.Family]*groups
	wanted  map[wish]bool // memberships that machines asked for
	started map[any]bool  // readers that run, by socket or plane
}

// driven is a socket with the machine that it belongs to.
type driven struct {
	*socket
	to      engine.MachineID
	reading sync.WaitGroup
}

// wish is a membership that a machine asked for.
type wish struct {
	ifc   engine.IfID
	group netip.Addr
}

func newDrivers() drivers {
	return drivers{
		sockets: make(map[socketKey]*driven),
		planes:  make(map[engine.MachineID]*plane),
		groups:  make(map[engine.Family]*groups),
		wanted:  make(map[wish]bool),
		started: make(map[any]bool),
	}
}

func compareIDs(a, b engine.MachineID) int {
	return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Table, b.Table))
}

// socketsOf says which sockets a machine speaks and hears by.
func socketsOf(id engine.MachineID, config any) []socketKey {
	switch {
	case id.Protocol == engine.IGMP && id.Family == engine.IPv4:
		return []socketKey{{engine.IPv4, engine.ProtoIGMP}}
	case id.Protocol == engine.IGMP:
		return []socketKey{{engine.IPv6, engine.ProtoICMPv6}}
	case id.Protocol == engine.DVMRP:
		return []socketKey{{engine.IPv4, engine.ProtoIGMP}}
	case id.Protocol == engine.PIMSM, id.Protocol == engine.PIMDM:
		keys := []socketKey{{id.Family, engine.ProtoPIM}}
		if c, ok := config.(pimsm.Config); ok && c.AutoRP.On() {
			keys = append(keys, socketKey{id.Family, engine.ProtoUDP})
		}
		return keys
	}
	return nil
}

// open opens what the machines need and is not open yet, in the namespace.
func (d *drivers) open(machines map[engine.MachineID]any, space namespace) error {
	err := space.run(func() error {
		for id, config := range engine.SortedFunc(machines, compareIDs) {
			if id.Protocol == engine.MFIB && d.planes[id] == nil {
				p, err := openPlane(id)
				if err != nil {
					return err
				}
				d.planes[id] = p
			}
			for _, key := range socketsOf(id, config) {
				if d.sockets[key] == nil {
					s, err := openSocket(key)
					if err != nil {
						return err
					}
					d.sockets[key] = &driven{socket: s, to: id}
				}
			}
			if d.groups[id.Family] == nil {
				d.groups[id.Family] = newGroups(id.Family, space.run)
			}
		}
		return nil
	})
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("%w: routing multicast needs CAP_NET_ADMIN and CAP_NET_RAW", err)
	}
	return err
}

// start starts the readers that do not run yet.
func (d *drivers) start(b *inbox) {
	for _, p := range d.planes {
		if !d.started[p] {
			d.started[p] = true
			p.start(b)
		}
	}
	for _, s := range d.sockets {
		if d.started[s] {
			continue
		}
		d.started[s] = true
		to, plane := s.to, d.planes[engine.MachineID{Protocol: engine.MFIB, Family: s.to.Family, Table: s.to.Table}]
		s.reading.Go(func() {
			var items []item
			s.receive(func(arrivals []arrival) {
				plane.drain()
				items = items[:0]
				for _, a := range arrivals {
					items = append(items, item{control, to, a})
				}
				b.put(items)
			})
		})
	}
}

// close closes what machines do not need; all if they are nil.
func (d *drivers) close(machines map[engine.MachineID]any) error {
	needed := make(map[socketKey]bool)
	families := make(map[engine.Family]bool)
	for id, config := range machines {
		families[id.Family] = true
		for _, key := range socketsOf(id, config) {
			needed[key] = true
		}
	}
	var errs []error
	for key, s := range d.sockets {
		if !needed[key] {
			errs = append(errs, s.conn.Close())
			s.reading.Wait()
			delete(d.sockets, key)
			delete(d.started, s)
		}
	}
	for id, p := range d.planes {
		if _, stays := machines[id]; !stays {
			errs = append(errs, p.close())
			delete(d.planes, id)
			delete(d.started, p)
		}
	}
	for f, g := range d.groups {
		if !families[f] {
			g.close()
			delete(d.groups, f)
		}
	}
	return errors.Join(errs...)
}
