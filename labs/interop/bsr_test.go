package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/labs/interop/frr"
	"grove/labs/interop/pimd"
	"grove/labs/netns"
	"grove/labs/script"
)

// TestBSRWithFRR: in a line of four routers, of which nobody is told an RP, r3 is the BSR and the best RP. All learn the RP-Set,
// packets go by the learned RP; when it goes all agree on the next, and when the BSR goes on the next one. FRR 8.4 is no candidate:
// it listens, and as r2 hands Bootstrap messages on to r1 and r1's Candidate-RP-Advertisements to the BSR. For comparison, all
// four are grove.
func TestBSRWithFRR(t *testing.T) {
	for _, c := range []struct{ role, peer, next string }{
		{"grove alone", "", "10.255.0.1"},
		{"FRR is the first hop", "r1", "10.255.0.4"},
		{"FRR hands messages on", "r2", "10.255.0.1"},
		{"FRR is the last hop", "r4", "10.255.0.1"},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			const dir = "testdata/bsr"
			peers := map[string]*frr.Router{}
			if c.peer != "" {
				peers[c.peer] = frr.New(t, dir+"/"+c.peer+".frr")
			}
			l := startFS(t, topology(t, dir, "interop-bsr"+c.peer), replaced(t, dir, []string{"RANGES", strings.Join(hashed, ", ")}), peers)
			l.playBSR(c.next)
		})
	}
}

// hashed are ranges that two RPs serve: so many that they are in two fragments of a Bootstrap message.
var hashed = func() (list []string) {
	for n := range 64 {
		list = append(list, fmt.Sprintf("239.2.0.%d/30", 4*n))
	}
	return list
}()

func (l *lab) playBSR(next string) {
	const first = "10.255.0.3"
	l.offloadOff("h1", "eth1") // FRR registers packets as they come, with half a checksum
	all := func(missing func(node string) string) func() string {
		return func() string {
			for _, node := range line {
				if m := missing(node); m != "" {
					return node + ": " + m
				}
			}
			return ""
		}
	}
	l.until(20*time.Second, "all are neighbors", all(func(node string) string { return differ(l.neighbors(node), neighbors[node]) }))
	agree := func(bsr, rp string) {
		l.t.Helper()
		l.until(40*time.Second, fmt.Sprintf("all have the BSR %s and the RP %s", bsr, rp), all(func(node string) string {
			if got := l.bsr(node); got != bsr {
				return "BSR " + got
			}
			return differ(l.rp(node, group), rp)
		}))
	}
	agree(first, first)
	// Where two RPs have one priority the hash function decides. FRR takes one for a whole range, by the hash of the range's address:
	// that is each group's where the range is as long as the hash mask.
	l.until(20*time.Second, "all choose alike by the hash function", func() string {
		want := l.rps("r3", hashed)
		for _, node := range line {
			if d := differ(l.rps(node, hashed), want); d != "" {
				return node + ": " + d
			}
		}
		chosen := map[string]int{}
		for _, rp := range want {
			chosen[rp]++
		}
		if len(chosen) != 2 || chosen[first] > 0 {
			return fmt.Sprintf("of two RPs that are equal they choose %v", chosen)
		}
		return ""
	})
	if n := ask(l, l.Client("r3").GetBSR, &grovev1.GetBSRRequest{}).Zones[0].Fragments; n < 2 {
		l.t.Errorf("the RP-Set is in %d fragments, want more than one", n)
	}

	flow := func(group, rp string) {
		l.t.Helper()
		l.do(script.Action{Join: &script.Membership{Host: "h2", Group: addr(group)}})
		l.until(10*time.Second, "the shared tree to "+rp+" is there", func() string {
			for n, node := range line {
				router := fmt.Sprintf("10.255.0.%d", n+1)
				s := l.stateOf(node, "*", group)
				switch wanted := router >= rp; {
				case wanted && (s == nil || !s.joined || len(s.out) != 1 || s.out[0] != "eth2"), !wanted && s != nil:
					return fmt.Sprintf("%s: %+v", node, s)
				case wanted && router != rp && s.in != "eth1":
					return fmt.Sprintf("%s: %+v", node, s)
				}
			}
			return ""
		})
		l.do(script.Action{Send: &script.Send{Host: "h1", Group: addr(group), Rate: 200, TTL: 64, Size: 200}})
		received := func() script.Received { return l.Received("h2", addr(group)) }
		l.until(20*time.Second, "the shortest-path tree is there", all(func(node string) string {
			s := l.stateOf(node, source, group)
			if s == nil || s.in != "eth1" || len(s.out) != 1 || s.out[0] != "eth2" {
				return fmt.Sprintf("%+v", s)
			}
			return ""
		}))
		l.until(10*time.Second, "packets arrive", func() string { return fewer(received().Packets, 100) })
		begin := received()
		l.t.Logf("at the start %d lost, %d came twice", begin.Lost, begin.Duplicates)
		// Longer than a Join of 2 s is held.
		l.until(20*time.Second, "state is refreshed", func() string { return fewer(received().Packets, begin.Packets+1600) })
		if end := received(); end.Lost > begin.Lost || end.Duplicates > begin.Duplicates {
			l.t.Errorf("%s: %d of %d lost, %d came twice", group, end.Lost-begin.Lost, end.Packets-begin.Packets, end.Duplicates-begin.Duplicates)
		}
	}
	flow(group, first)

	l.do(script.Action{Reload: &script.Reload{Node: "r3", Config: "r3-norp.yml"}})
	before := l.Received("h2", addr(group))
	agree(first, next)
	flow("239.1.1.2", next)
	if after := l.Received("h2", addr(group)); after.Lost > before.Lost {
		l.t.Errorf("when the RP changed %d of %d packets of %s were lost", after.Lost-before.Lost, after.Packets-before.Packets, group)
	}

	l.do(script.Action{Reload: &script.Reload{Node: "r3", Config: "r3-listener.yml"}})
	agree(next, next)
	for _, node := range line {
		if l.frr[node] == nil {
			if list := l.refused(node); len(list) > 0 {
				l.t.Errorf("%s has refused messages of its neighbors: %v", node, list)
			}
		}
	}
}

// TestBSRKilled: routers that are new or come back have the RP-Set from their neighbor at once (RFC 5059, section 3.5), and need not
// wait a minute for the next message of the BSR: grove from FRR, and FRR from grove. An RP that dies without a word is left by all.
func TestBSRKilled(t *testing.T) {
	t.Parallel()
	const dir, bsr, rp, local = "testdata/bsr", "10.255.0.3", "10.255.0.4", "239.3.1.1"
	f := frr.New(t, dir+"/r2.frr")
	l := startFS(t, topology(t, dir, "interop-bsrkill"), replaced(t, dir, []string{
		"RANGES", "239.2.0.0/30", "period: 3s", "period: 60s", "timeout: 8s", "timeout: 130s",
		"address: 10.255.0.4, priority: 30", "address: 10.255.0.4, priority: 1, groups: [239.3.0.0/16]",
	}), map[string]*frr.Router{"r2": f})
	agree := func(within time.Duration, what string, nodes []string, want string) {
		l.t.Helper()
		l.until(within, what, func() string {
			for _, node := range nodes {
				if got := l.bsr(node); got != bsr {
					return node + ": BSR " + got
				}
				if d := differ([]string{l.rp(node, group), l.rp(node, local)}, []string{bsr, want}); d != "" {
					return node + ": " + d
				}
			}
			return ""
		})
	}
	agree(30*time.Second, "all have one RP-Set", line, rp)

	if err := l.Kill("r1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Restart(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	agree(15*time.Second, "grove is back and has it from FRR", line, rp)

	if err := f.Kill("pimd"); err != nil {
		t.Fatal(err)
	}
	if err := l.In("r2", func() error { return f.Restart(t.Context(), "pimd") }); err != nil {
		t.Fatal(err)
	}
	agree(15*time.Second, "FRR is back and has it from grove", line, rp)

	if err := l.Kill("r4"); err != nil {
		t.Fatal(err)
	}
	agree(20*time.Second, "an RP is dead: it is left", []string{"r1", "r2", "r3"}, bsr)
}

// TestBSRWithPimd: r2 between two of grove is pimd. It and r1 are Candidate-BSRs and Candidate-RPs: both elect alike, by priority and
// by address, and the RP-Set reaches all, r3 behind pimd included. Packets go by the learned RP, whichever of them it is. When that of
// r1 goes, all agree on pimd.
func TestBSRWithPimd(t *testing.T) {
	const grove, other, link = "10.255.0.1", "10.0.23.2", "10.0.12.1" // the latter is grove's, too, and lower than pimd's
	for _, c := range []struct {
		name, lab              string
		bsr1, preference1, rp1 string // of grove
		preference2, rp2       string // of pimd
		bsr, rp                string // who is elected, and whose RP it is
	}{
		{"pimd is BSR by its priority", "interop-pimd1", grove, "100", "50", "200", "10", other, other},
		{"pimd is BSR by its address", "interop-pimd2", link, "100", "10", "100", "50", other, grove},
		{"grove is BSR by its priority", "interop-pimd3", link, "200", "10", "100", "50", link, grove},
		{"grove is BSR by its address", "interop-pimd4", grove, "100", "50", "100", "10", grove, other},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const dir = "testdata/pimd"
			texts := []string{
				"BSR1", c.bsr1, "PREFERENCE1", c.preference1, "PREFERENCE2", c.preference2, "RP1", c.rp1, "RP2", c.rp2,
			}
			pimds := map[string]netns.Program{"r2": pimd.New(t, dir+"/r2.pimd", texts...)}
			l := startPrograms(t, topology(t, dir, c.lab), replaced(t, dir, texts), pimds)
			ofGrove, ofPimd := grove+" for 224.0.0.0/4, priority "+c.rp1, other+" for 224.0.0.0/4, priority "+c.rp2
			l.playPimd(c.bsr, c.rp, []string{ofPimd, ofGrove})
			if c.rp == other {
				return
			}
			l.do(script.Action{Reload: &script.Reload{Node: "r1", Config: "r1-norp.yml"}})
			l.agreeWithPimd(c.bsr, []string{ofPimd})
			l.until(10*time.Second, "all have pimd as RP", func() string { return l.sameRP(other) })
		})
	}
}

// playPimd sees who is elected, what is learned, and where packets go.
func (l *lab) playPimd(bsr, rp string, set []string) {
	l.t.Helper()
	l.offloadOff("h1", "eth1")
	l.until(30*time.Second, "all are neighbors", func() string {
		return differ(l.neighbors("r1"), map[string]string{"eth2": "10.0.12.2"}) + differ(l.neighbors("r3"), map[string]string{"eth1": "10.0.23.2"})
	})
	l.agreeWithPimd(bsr, set)
	l.do(script.Action{Join: &script.Membership{Host: "h2", Group: addr(group)}})
	l.until(20*time.Second, "the last hop and pimd join, all by one RP", func() string {
		return differ(outgoing(l.mroute("r3", "*", group)), []string{"eth2"}) + l.sameRP(rp)
	})
	l.do(script.Action{Send: &script.Send{Host: "h1", Group: addr(group), Rate: 200, TTL: 64, Size: 200}})
	received := func() script.Received { return l.Received("h2", addr(group)) }
	// What pimd has to send, it sends at the next tick of its clock, which is each five seconds.
	l.until(30*time.Second, "packets arrive natively", func() string {
		if m := l.mroute("r3", source, group); m == nil || m.IncomingInterface != "eth1" {
			return "no (S,G)"
		}
		return fewer(received().Packets, 1200)
	})
	begin := received()
	l.t.Logf("at the start %d lost, %d came twice", begin.Lost, begin.Duplicates)
	l.until(20*time.Second, "state is refreshed", func() string { return fewer(received().Packets, begin.Packets+1600) })
	if end := received(); end.Lost > begin.Lost || end.Duplicates > begin.Duplicates {
		l.t.Errorf("%d of %d lost, %d came twice", end.Lost-begin.Lost, end.Packets-begin.Packets, end.Duplicates-begin.Duplicates)
	}
	for _, node := range []string{"r1", "r3"} {
		if list := l.refused(node); len(list) > 0 {
			l.t.Errorf("%s has refused messages of its neighbors: %v", node, list)
		}
	}
}

// agreeWithPimd waits until all have a BSR and an RP-Set. pimd sends it each thirty seconds, whether it changes or not.
func (l *lab) agreeWithPimd(bsr string, set []string) {
	l.t.Helper()
	l.until(90*time.Second, "all have the BSR "+bsr+" and one RP-Set", func() string {
		for _, node := range []string{"r1", "r3"} {
			if d := differ(pimd.RPSet{BSR: l.bsr(node), RPs: l.rpSet(node)}, pimd.RPSet{BSR: bsr, RPs: set}); d != "" {
				return node + ": " + d
			}
		}
		return differ(l.pimd["r2"].RPSet(), pimd.RPSet{BSR: bsr, RPs: set})
	})
}

// sameRP says whose RP of the group is another.
func (l *lab) sameRP(rp string) string {
	l.t.Helper()
	theirs, err := l.pimd["r2"].RP(l.t.Context(), group)
	if err != nil {
		l.t.Fatal(err)
	}
	return differ([]string{l.rp("r1", group), theirs, l.rp("r3", group)}, []string{rp, rp, rp})
}

// rpSet returns the mappings of a groved, as pimd.RPSet has them.
func (l *lab) rpSet(node string) []string {
	l.t.Helper()
	var list []string
	for _, m := range ask(l, l.Client(node).ListRPMappings, &grovev1.ListRPMappingsRequest{Family: grovev1.Family_FAMILY_IPV4}).Mappings {
		list = append(list, fmt.Sprintf("%s for %s, priority %d", m.Rp, m.Groups, m.Priority))
	}
	slices.Sort(list)
	return list
}

// bsr returns the address of the BSR that a router knows.
func (l *lab) bsr(node string) string {
	l.t.Helper()
	if l.frr[node] != nil {
		return show[struct{ BSR string }](l, node, "show ip pim bsr").BSR
	}
	for _, z := range ask(l, l.Client(node).GetBSR, &grovev1.GetBSRRequest{}).Zones {
		if z.Scope == "" {
			return z.Bsr
		}
	}
	return ""
}

// rp returns RP(G) of a group; "" if there is none.
func (l *lab) rp(node, group string) string {
	l.t.Helper()
	if l.frr[node] != nil {
		return l.frrRPs(node, []string{group + "/32"})[0]
	}
	for _, m := range ask(l, l.Client(node).ListRPMappings, &grovev1.ListRPMappingsRequest{Family: familyOf(group), Group: group}).Mappings {
		if m.Chosen {
			return m.Rp
		}
	}
	return ""
}

// rps returns RP(G) of a group of each range.
func (l *lab) rps(node string, ranges []string) []string {
	l.t.Helper()
	if l.frr[node] != nil {
		return l.frrRPs(node, ranges)
	}
	var list []string
	for _, r := range ranges {
		list = append(list, l.rp(node, prefix(r).Addr().Next().String()))
	}
	return list
}

// frrRPs returns the RP that FRR has learned for the longest range that holds each of the given ones; "" if there is none.
func (l *lab) frrRPs(node string, ranges []string) []string {
	l.t.Helper()
	known := show[map[string][]struct{ RPAddress, Group, Source string }](l, node, "show ip pim rp-info")
	var list []string
	for _, r := range ranges {
		best, rp := -1, ""
		for _, rows := range known {
			for _, row := range rows {
				if p := prefix(row.Group); p.Contains(prefix(r).Addr()) && p.Bits() <= prefix(r).Bits() && p.Bits() > best && row.Source == "BSR" {
					best, rp = p.Bits(), row.RPAddress
				}
			}
		}
		list = append(list, rp)
	}
	return list
}
