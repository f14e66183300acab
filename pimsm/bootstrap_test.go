package pimsm_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/bootstrap"
	"grove/internal/pim/wire"
	"grove/pimsm"
)

// The commands of scenario scripts for the Bootstrap mechanism, RFC 5059. A RANGE is a prefix, with a Z before it for the Zone bit
// and a B for the BIDIR bit, and "of N" after it where the RPs in other fragments make N; an RP is ADDRESS/HOLDTIME/PRIORITY.

func (w *world) configureBSR(f []string) error {
	if f[0] == "off" {
		w.cfg.BSR = nil
		return nil
	}
	var c bootstrap.Config
	if w.cfg.BSR != nil {
		c = *w.cfg.BSR
	}
	w.cfg.BSR = &c
	switch f[0] {
	case "candidate":
		c.Candidate = &bootstrap.Candidate{Address: addr(f[1]), Priority: 64, HashMaskLen: uint8(addr(f[1]).BitLen() - 2)}
		for n := 2; n+1 < len(f); n += 2 {
			v, _ := strconv.Atoi(f[n+1])
			switch f[n] {
			case "prio":
				c.Candidate.Priority = uint8(v)
			case "hash":
				c.Candidate.HashMaskLen = uint8(v)
			case "zones":
				c.Candidate.Zones = prefixList(f[n+1])
			default:
				return fmt.Errorf("what is %q", f[n])
			}
		}
	case "rp":
		rp := bootstrap.CandidateRP{Address: addr(f[1]), Priority: 192}
		if len(f) > 2 {
			rp.Groups = prefixList(f[2])
		}
		c.CandidateRPs = append(slices.Clone(c.CandidateRPs), rp)
	case "norp":
		c.CandidateRPs = nil
	case "nocandidate":
		c.Candidate = nil
	case "unicast":
		c.Unicast = true
	case "border":
		c.Borders = append(slices.Clone(c.Borders), f[1])
	case "boundary":
		boundaries := map[string][]netip.Prefix{f[1]: prefixList(f[2])}
		for k, v := range c.Boundaries {
			boundaries[k] = append(boundaries[k], v...)
		}
		c.Boundaries = boundaries
	case "accept":
		c.AcceptRP = prefixList(f[1])
	case "on":
	default:
		return fmt.Errorf("what is %q", f[0])
	}
	return nil
}

func prefixList(s string) (list []netip.Prefix) {
	for _, p := range strings.Split(s, ",") {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

func rangeOf(s string) (g wire.Group, ok bool) {
	for ; s != "" && (s[0] == 'Z' || s[0] == 'B'); s = s[1:] {
		g.Zone, g.Bidir = g.Zone || s[0] == 'Z', g.Bidir || s[0] == 'B'
	}
	p, err := netip.ParsePrefix(s)
	g.Addr, g.MaskLen = p.Addr(), uint8(p.Bits())
	return g, err == nil
}

func (w *world) bootstrap(f []string) error {
	m := &wire.Bootstrap{BSR: addr(f[2]), Priority: 64, HashMaskLen: uint8(addr(f[2]).BitLen() - 2), FragmentTag: uint16(w.tag)}
	w.tag++
	dst := w.all_()
	for n := 3; n < len(f); n++ {
		if g, ok := rangeOf(f[n]); ok {
			m.Ranges = append(m.Ranges, wire.RPRange{Group: g})
			continue
		}
		if f[n] == "nofwd" {
			m.NoForward = true
			continue
		}
		if parts := strings.Split(f[n], "/"); len(parts) == 3 {
			hold, err := time.ParseDuration(parts[1])
			if err != nil {
				return err
			}
			prio, _ := strconv.Atoi(parts[2])
			r := &m.Ranges[len(m.Ranges)-1]
			r.RPs = append(r.RPs, wire.RPMapping{RP: addr(parts[0]), Holdtime: hold, Priority: uint8(prio)})
			r.RPCount = max(r.RPCount, uint8(len(r.RPs)))
			continue
		}
		n++
		v, _ := strconv.Atoi(f[n])
		switch f[n-1] {
		case "prio":
			m.Priority = uint8(v)
		case "hash":
			m.HashMaskLen = uint8(v)
		case "tag":
			m.FragmentTag = uint16(v)
		case "to":
			dst = addr(f[n])
		case "of":
			m.Ranges[len(m.Ranges)-1].RPCount = uint8(v)
		default:
			return fmt.Errorf("what is %q", f[n-1])
		}
	}
	return w.packet(f[0], addr(f[1]), dst, m)
}

func (w *world) advertisement(f []string) error {
	m := &wire.CandidateRPAdv{RP: addr(f[2]), Priority: 192, Holdtime: 150 * time.Second}
	for n := 3; n < len(f); n++ {
		if g, ok := rangeOf(f[n]); ok {
			m.Groups = append(m.Groups, g)
			continue
		}
		n++
		switch f[n-1] {
		case "prio":
			v, _ := strconv.Atoi(f[n])
			m.Priority = uint8(v)
		case "hold":
			m.Holdtime, _ = time.ParseDuration(f[n])
		default:
			return fmt.Errorf("what is %q", f[n-1])
		}
	}
	return w.packet("", addr(f[0]), addr(f[1]), m)
}

func rangeWords(g wire.Group) string {
	s := netip.PrefixFrom(g.Addr, int(g.MaskLen)).String()
	if g.Bidir {
		s = "B" + s
	}
	if g.Zone {
		s = "Z" + s
	}
	return s
}

// bootstrapWords is a message without its tag, which is random.
func bootstrapWords(m *wire.Bootstrap) string {
	s := fmt.Sprintf("Bootstrap of %v prio %d hash %d", m.BSR, m.Priority, m.HashMaskLen)
	if m.NoForward {
		s += " nofwd"
	}
	for _, r := range m.Ranges {
		s += " " + rangeWords(r.Group)
		if int(r.RPCount) != len(r.RPs) {
			s += fmt.Sprintf(" of %d", r.RPCount)
		}
		for _, rp := range r.RPs {
			s += fmt.Sprintf(" %v/%v/%d", rp.RP, rp.Holdtime, rp.Priority)
		}
	}
	return s
}

func advertisementWords(m *wire.CandidateRPAdv) string {
	s := fmt.Sprintf("C-RP-Adv of %v prio %d hold %v", m.RP, m.Priority, m.Holdtime)
	for _, g := range m.Groups {
		s += " " + rangeWords(g)
	}
	return s
}

func bsrWords(s bootstrap.Show) (lines []string) {
	for _, z := range s.Zones {
		scope := "the domain"
		if z.Scope.IsValid() {
			scope = z.Scope.String()
		}
		line := fmt.Sprintf("%s: %s", scope, z.State)
		if z.BSR.IsValid() {
			line += fmt.Sprintf(", BSR %v prio %d", z.BSR, z.Priority)
		}
		lines = append(lines, line+fmt.Sprintf(", timer %v", z.Expires.Round(time.Millisecond)))
	}
	for _, o := range s.Candidates {
		lines = append(lines, fmt.Sprintf("candidate %v for %v prio %d expires %v", o.RP, o.Groups, o.Priority, o.Expires.Round(time.Millisecond)))
	}
	return lines
}

// showMappings says the mappings, or those that match a group, with the chosen one first.
func (w *world) showMappings(f []string) {
	w.event(engine.Query{ID: 1, What: "mappings", Arg: strings.Join(f, "")})
	w.log = nil
	for _, e := range w.all {
		a, ok := e.(engine.Answer)
		if !ok {
			continue
		}
		for _, x := range a.Value.([]pimsm.MappingShow) {
			s := fmt.Sprintf("%v %v %s prio %d hash %d", x.Groups, x.RP, x.Origin, x.Priority, x.HashMaskLen)
			if x.Bidir {
				s += " BIDIR"
			}
			if x.Chosen {
				s += " chosen"
			}
			w.say(s)
		}
	}
}
