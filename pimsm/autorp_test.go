package pimsm_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/pim/autorp"
	"grove/internal/pim/autorp/wire"
)

// configAutoRP is "config autorp off | listen | candidate A PREFIX... | agent A". -PREFIX is a negative one.
func (w *world) configAutoRP(f []string) error {
	a := &w.cfg.AutoRP
	switch f[0] {
	case "off":
		*a = autorp.Config{}
	case "listen":
		a.Listen = true
	case "candidate":
		c := autorp.Candidate{Address: addr(f[1]), Scope: 31, Interval: time.Minute, Holdtime: 3 * time.Minute}
		for _, p := range f[2:] {
			c.Groups = append(c.Groups, autorpGroup(p))
		}
		a.Candidates = append(slices.Clone(a.Candidates), c)
	case "agent":
		a.Agent = autorp.Agent{Address: addr(f[1]), Scope: 31, Interval: time.Minute, Holdtime: 3 * time.Minute}
	default:
		return fmt.Errorf("autorp %q", f[0])
	}
	return nil
}

func autorpGroup(s string) wire.Group {
	return wire.Group{Prefix: netip.MustParsePrefix(strings.TrimPrefix(s, "-")), Negative: strings.HasPrefix(s, "-")}
}

// autorp is "autorp announce|discover IF FROM RP PREFIX... [port N] [damaged]": a datagram comes in, with a holdtime of 180 s.
func (w *world) autorp(f []string) error {
	m := &wire.Message{Type: wire.Announcement, Holdtime: 3 * time.Minute}
	group := wire.AnnounceGroup
	if f[0] == "discover" {
		m.Type, group = wire.Discovery, wire.DiscoveryGroup
	}
	rp := wire.RP{Address: addr(f[3]), Version: wire.PIMv2}
	port, damaged := uint16(wire.Port), false
	for n := 4; n < len(f); n++ {
		switch f[n] {
		case "port":
			n++
			p, err := strconv.Atoi(f[n])
			if err != nil {
				return err
			}
			port = uint16(p)
		case "damaged":
			damaged = true
		default:
			rp.Groups = append(rp.Groups, autorpGroup(f[n]))
		}
	}
	m.RPs = []wire.RP{rp}
	data, err := m.Append(nil)
	if err != nil {
		return err
	}
	p := ip.UDP(netip.AddrPortFrom(addr(f[2]), wire.Port), netip.AddrPortFrom(group, port), 30, data)
	if damaged {
		p.Payload[len(p.Payload)-1]++
	}
	w.event(engine.Packet{If: w.ifaces[f[1]].ID, Src: p.Src, Dst: p.Dst, Proto: p.Proto, TTL: p.TTL, Payload: p.Payload})
	return nil
}

// describeAutoRP tells what a datagram of ours says; "" if it is none.
func describeAutoRP(p *ip.Packet) string {
	if p.Dst != wire.AnnounceGroup && p.Dst != wire.DiscoveryGroup {
		return ""
	}
	from, to, data, err := ip.ParseUDP(p.Src, p.Dst, p.Payload)
	if err != nil {
		return err.Error()
	}
	m, err := wire.Parse(data)
	if err != nil {
		return err.Error()
	}
	s := fmt.Sprintf(" auto-rp %v ports %d %d tos %#x:", m.Type, from, to, p.TOS)
	for _, rp := range m.RPs {
		s += " " + rp.Address.String()
		for _, g := range rp.Groups {
			if g.Negative {
				s += " -" + g.Prefix.String()
			} else {
				s += " " + g.Prefix.String()
			}
		}
	}
	return s
}
