package interop

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/labs/interop/bird"
	"grove/labs/interop/frr"
	"grove/labs/judge"
	"grove/labs/netns"
	"grove/labs/script"
)

// Two domains, and what is said in them (see testdata/msdp/msdp.clab.yml): h1 of a's domain sends to groupA, of which h2 of b's
// domain is a member, and the reverse.
const (
	groupA, groupB = "233.252.0.1", "233.252.0.2"
	linkA, linkB   = "10.0.12.1", "10.0.12.2" // of the multicast link
)

// side is one of the domains: its numbers.
type side struct{ rp, host string }

// TestMSDPWithFRR: two domains, one of grove and one of FRR, joined by MSDP and MBGP. Each tells the other of its source, joins
// the other's, and has each packet once. grove's RPF follows the multicast routes, though all unicast routes and MSDP's own
// connection take the other link. By the order of the RPs' addresses one side or the other connects.
func TestMSDPWithFRR(t *testing.T) {
	one, two := side{"198.51.100.254", "198.51.100.10"}, side{"203.0.113.254", "203.0.113.10"}
	for _, c := range []struct {
		name, lab string
		a, b      side
		replace   []string
	}{
		{"grove connects", "interop-msdp", one, two, nil},
		{"FRR connects", "interop-msdp2", two, one, []string{"198.51.100.", "203.0.113.", "203.0.113.", "198.51.100."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const dir = "testdata/msdp"
			peers := map[string]*frr.Router{}
			for _, node := range []string{"b", "d"} {
				peers[node] = frr.New(t, dir+"/"+node+".frr", c.replace...)
			}
			l := startFS(t, topology(t, dir, c.lab), replaced(t, dir, c.replace), peers)
			l.playDomains(c.a, c.b)
		})
	}
}

// replaced is a folder with other texts in its files, given in pairs.
func replaced(t *testing.T, dir string, texts []string) fs.FS {
	t.Helper()
	r := strings.NewReplacer(texts...)
	out := fstest.MapFS{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(dir + "/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = &fstest.MapFile{Data: []byte(r.Replace(string(data)))}
	}
	return out
}

func (l *lab) playDomains(a, b side) {
	l.offloadOff("h1", "eth1")
	l.offloadOff("h2", "eth1") // FRR registers packets as they come, with half a checksum
	grovePeer := func() *grovev1.MSDPPeer { return l.msdpPeer("a", b.rp) }
	l.until(20*time.Second, "all are neighbors, and the RPs MSDP peers", func() string {
		for node, want := range map[string]map[string]string{
			"a": {"eth1": linkB, "eth2": "10.0.21.2", "eth3": strings.Replace(a.rp, ".254", ".130", 1)},
			"b": {"eth1": linkA, "eth2": "10.0.21.1", "eth3": strings.Replace(b.rp, ".254", ".130", 1)},
		} {
			if d := differ(l.neighbors(node), want); d != "" {
				return node + ": " + d
			}
		}
		if s := grovePeer().State; s != "ESTABLISHED" {
			return "grove's peer is " + s
		}
		return differ(l.frrPeers("b"), map[string]string{a.rp: "established"})
	})
	if active, want := grovePeer().Active, addr(a.rp).Less(addr(b.rp)); active != want {
		l.t.Errorf("grove opened the connection: %t, by the addresses it is %t", active, want)
	}
	l.until(20*time.Second, "grove's RPF follows the multicast route", func() string {
		return differ(l.rpf("a", b.host), linkB+" on eth1 by bgp")
	})

	borders := map[string]*sniffer{"eth1": l.sniff("a", "eth1"), "eth2": l.sniff("a", "eth2")}
	l.do(script.Action{Join: &script.Membership{Host: "h2", Group: addr(groupA)}})
	l.do(script.Action{Join: &script.Membership{Host: "h1", Group: addr(groupB)}})
	l.until(10*time.Second, "the RPs have receivers", func() string {
		for node, group := range map[string]string{"a": groupB, "b": groupA} {
			if s := l.stateOf(node, "*", group); s == nil || !s.joined || !slices.Equal(s.out, []string{"eth3"}) {
				return fmt.Sprintf("%s: %+v", node, s)
			}
		}
		return ""
	})
	l.do(script.Action{Send: &script.Send{Host: "h1", Group: addr(groupA), Rate: 200, TTL: 64, Size: 200}})
	l.do(script.Action{Send: &script.Send{Host: "h2", Group: addr(groupB), Rate: 200, TTL: 64, Size: 200}})

	l.until(10*time.Second, "each RP tells the other of its source", func() string {
		if d := differ(l.sourceActives("a"), []string{
			fmt.Sprintf("(%s, %s) of our own", a.host, groupA),
			fmt.Sprintf("(%s, %s) RP %s", b.host, groupB, b.rp),
		}); d != "" {
			return "a: " + d
		}
		if d := differ(l.sourceActives("b"), []string{
			fmt.Sprintf("(%s, %s) RP %s", a.host, groupA, a.rp),
			fmt.Sprintf("(%s, %s) of our own", b.host, groupB),
		}); d != "" {
			return "b: " + d
		}
		return ""
	})
	// grove joins b's source by the multicast link. FRR, of whose RPF the MRIB is no part, joins a's by the unicast one.
	trees := []struct {
		node, source, group string
		want                state
	}{
		{"c", a.host, groupA, state{in: "eth1", out: []string{"eth2"}, joined: true, stopped: true}},
		{"a", a.host, groupA, state{in: "eth3", out: []string{"eth2"}, joined: true}},
		{"b", a.host, groupA, state{in: "eth2", out: []string{"eth3"}, joined: true}},
		{"d", a.host, groupA, state{in: "eth2", out: []string{"eth1"}, joined: true}},
		{"d", b.host, groupB, state{in: "eth1", out: []string{"eth2"}, joined: true, stopped: true}},
		{"b", b.host, groupB, state{in: "eth3", out: []string{"eth1"}, joined: true}},
		{"a", b.host, groupB, state{in: "eth1", out: []string{"eth3"}, joined: true}},
		{"c", b.host, groupB, state{in: "eth2", out: []string{"eth1"}, joined: true}},
	}
	l.until(15*time.Second, "the trees cross the border", func() string {
		for _, tr := range trees {
			got := l.stateOf(tr.node, tr.source, tr.group)
			if d := differ(got, &tr.want); d != "" {
				return fmt.Sprintf("%s (%s, %s): %s", tr.node, tr.source, tr.group, d)
			}
		}
		return ""
	})
	flows := []struct{ source, group, host, over, not string }{
		{a.host, groupA, "h2", "eth2", "eth1"},
		{b.host, groupB, "h1", "eth1", "eth2"},
	}
	received := func(n int) script.Received { return l.Received(flows[n].host, addr(flows[n].group)) }
	crossed := func(n int) int { return borders[flows[n].over].count(flows[n].source, flows[n].group) }
	arrive := func(what string, least ...int) {
		l.t.Helper()
		l.until(20*time.Second, what, func() string {
			for n := range flows {
				if s := fewer(received(n).Packets, least[n]); s != "" {
					return flows[n].source + ": " + s
				}
			}
			return ""
		})
	}
	arrive("packets arrive", 100, 100)
	var begin []script.Received
	var before []int
	for n, f := range flows {
		begin, before = append(begin, received(n)), append(before, crossed(n))
		l.t.Logf("%s: at the start %d lost, %d came twice", f.source, begin[n].Lost, begin[n].Duplicates)
	}
	// Longer than a Join of 2 s is held.
	arrive("state is refreshed", begin[0].Packets+1600, begin[1].Packets+1600)
	for n, f := range flows {
		end := received(n)
		if end.Lost > begin[n].Lost || end.Duplicates > 0 {
			l.t.Errorf("%s: %d of %d lost, %d came twice", f.source, end.Lost-begin[n].Lost, end.Packets-begin[n].Packets, end.Duplicates)
		}
		if end.TTL != 60 {
			l.t.Errorf("%s: TTL %d after four routers, want 60", f.source, end.TTL)
		}
		// The counts are not of one moment.
		if more := crossed(n) - before[n] - (end.Packets - begin[n].Packets); more < -50 || more > 50 {
			l.t.Errorf("%s: %d more packets crossed the border than arrived", f.source, more)
		}
		if n := borders[f.not].count(f.source, f.group); n > 0 {
			l.t.Errorf("%s: %d packets crossed by %s", f.source, n, f.not)
		}
	}
	if peer := grovePeer(); peer.RpfFailures != 0 {
		l.t.Errorf("peer-RPF refused %d entries of FRR", peer.RpfFailures)
	}

	l.do(script.Action{Leave: &script.Membership{Host: "h2", Group: addr(groupA)}})
	l.do(script.Action{Leave: &script.Membership{Host: "h1", Group: addr(groupB)}})
	l.until(20*time.Second, "the members have left: nothing crosses the border, and the RPs remember the sources", func() string {
		for _, tr := range trees {
			if s := l.stateOf(tr.node, tr.source, tr.group); s != nil && len(s.out) > 0 {
				return fmt.Sprintf("%s still forwards (%s, %s): %+v", tr.node, tr.source, tr.group, *s)
			}
		}
		for node, want := range map[string]int{"a": 2, "b": 2} {
			if got := l.sourceActives(node); len(got) != want {
				return fmt.Sprintf("%s: %v", node, got)
			}
		}
		return ""
	})
	for _, node := range []string{"a", "c"} {
		if list := l.refused(node); len(list) > 0 {
			l.t.Errorf("%s has refused messages of its neighbors: %v", node, list)
		}
	}
	l.finish()
	// Each told of its own, and of nothing else: what one told was not sent back.
	l.told([]string{
		fmt.Sprintf("%s to %s: (%s, %s) RP %s", a.rp, b.rp, a.host, groupA, a.rp),
		fmt.Sprintf("%s to %s: (%s, %s) RP %s", b.rp, a.rp, b.host, groupB, b.rp),
	})
}

// told checks which Source-Actives were on the wire, as tshark reads them, apart from those that may be there.
func (l *lab) told(want []string, may ...string) {
	l.t.Helper()
	const rp, groups, sources = "msdp.sa.rp_addr", "msdp.sa.group_addr", "msdp.sa.src_addr"
	args := []string{"-r", l.capture, "-Y", "msdp.type == 1", "-T", "fields"}
	for _, f := range []string{"ip.src", "ip.dst", rp, groups, sources} {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		l.t.Fatal(err)
	}
	got := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for i, first := range f[:3] { // what follows is of the encapsulated packet, or of another message
			f[i], _, _ = strings.Cut(first, ",")
		}
		source := strings.Split(f[4], ",")
		for i, group := range strings.Split(f[3], ",") {
			if sa := fmt.Sprintf("%s to %s: (%s, %s) RP %s", f[0], f[1], source[i], group, f[2]); slices.Contains(may, sa) {
				l.t.Log("not wanted: ", sa)
			} else {
				got[sa] = true
			}
		}
	}
	slices.Sort(want)
	if d := differ(slices.Sorted(maps.Keys(got)), want); d != "" {
		l.t.Errorf("Source-Actives on the wire: %s", d)
	}
}

// msdpPeer returns a peer of a groved.
func (l *lab) msdpPeer(node, address string) *grovev1.MSDPPeer {
	l.t.Helper()
	peers := ask(l, l.Client(node).ListMSDPPeers, &grovev1.ListMSDPPeersRequest{Address: address}).Peers
	if len(peers) != 1 {
		l.t.Fatalf("%s has %d peers %s", node, len(peers), address)
	}
	return peers[0]
}

// frrPeers returns the states of the MSDP peers of FRR.
func (l *lab) frrPeers(node string) map[string]string {
	l.t.Helper()
	states := map[string]string{}
	for address, p := range show[map[string]struct{ State string }](l, node, "show ip msdp peer") {
		states[address] = p.State
	}
	return states
}

// sourceActives returns what a router knows of sources, by group and source: "(S, G) RP a" of other domains, "(S, G) of our own".
func (l *lab) sourceActives(node string) []string {
	l.t.Helper()
	type entry struct{ source, group, rp string } // rp "": our own
	var list []entry
	if l.frr[node] == nil {
		for _, s := range ask(l, l.Client(node).ListMSDPSourceActives, &grovev1.ListMSDPSourceActivesRequest{}).SourceActives {
			e := entry{s.Source, s.Group, s.Rp}
			if s.Own {
				e.rp = ""
			}
			list = append(list, e)
		}
	} else {
		type sa struct{ Source, Group, RP, Local string }
		for _, sources := range show[map[string]map[string]sa](l, node, "show ip msdp sa") {
			for _, s := range sources {
				e := entry{s.Source, s.Group, s.RP}
				if s.Local == "yes" {
					e.rp = ""
				}
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, func(a, b entry) int {
		return strings.Compare(a.group+" "+a.source+" "+a.rp, b.group+" "+b.source+" "+b.rp)
	})
	var texts []string
	for _, e := range list {
		who := "of our own"
		if e.rp != "" {
			who = "RP " + e.rp
		}
		texts = append(texts, fmt.Sprintf("(%s, %s) %s", e.source, e.group, who))
	}
	return texts
}

// rpf says where an address is to a groved: "10.0.12.2 on eth1 by bgp".
func (l *lab) rpf(node, address string) string {
	l.t.Helper()
	p := ask(l, l.Client(node).GetRPF, &grovev1.GetRPFRequest{Address: address}).Paths[0]
	if !p.Reachable {
		return "unreachable"
	}
	return fmt.Sprintf("%s on %s by %s", p.Hops[0].Gateway, p.Hops[0].Interface, p.Origin)
}

// meshDomain is a domain of TestMSDPMesh: an RP by its own address, a host, and the group that the host sends to.
type meshDomain struct{ node, rp, host, source, group string }

// mesh are the messages of MSDP that TestMSDPMesh has on the wire.
var mesh = []judge.Message{
	"ipv4 MSDP KeepAlive", "ipv4 MSDP Source-Active", "ipv4 MSDP Source-Active with a packet",
	"ipv4 MSDP Source-Active Request", "ipv4 MSDP Source-Active Response",
}

// TestMSDPMesh: two RPs of grove and one of FRR are a mesh group. The source of each is told to each other by its own RP, and by no
// other grove; members at all have each packet of all sources once. The groves ask each other for sources, and FRR, which does not
// answer. So it is with three domains, and with Anycast-RPs of one domain (RFC 3446).
func TestMSDPMesh(t *testing.T) {
	const dir = "testdata/mesh"
	var shared []string // texts of the configurations, and others for one address that all have
	for _, rp := range []string{"192.0.2.254", "203.0.113.254", "198.51.100.254"} {
		const one = "10.255.0.9"
		shared = append(shared,
			"rp: [{address: "+rp+"}]", "rp: [{address: "+one+"}]",
			"lo: {addresses: ["+rp+"/32]}", "lo: {addresses: ["+one+"/32, "+rp+"/32]}",
			"ip pim rp "+rp, "ip pim rp "+one,
			" ip address "+rp+"/32", " ip address "+one+"/32\n ip address "+rp+"/32",
		)
	}
	for _, c := range []struct {
		name, lab string
		texts     []string
	}{
		{"three domains", "interop-mesh", nil},
		{"Anycast-RPs", "interop-meshone", shared},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			peers := map[string]*frr.Router{"p3": frr.New(t, dir+"/p3.frr", c.texts...)}
			startFS(t, topology(t, dir, c.lab), replaced(t, dir, c.texts), peers).playMesh()
		})
	}
}

func (l *lab) playMesh() {
	t := l.t
	domains := []meshDomain{
		{"p1", "192.0.2.254", "h1", "192.0.2.10", "233.252.0.1"},
		{"p2", "203.0.113.254", "h2", "203.0.113.10", "233.252.0.2"},
		{"p3", "198.51.100.254", "h3", "198.51.100.10", "233.252.0.3"},
	}
	others := func(d meshDomain) []meshDomain {
		return slices.DeleteFunc(slices.Clone(domains), func(o meshDomain) bool { return o == d })
	}
	for _, d := range domains {
		l.offloadOff(d.host, "eth1")
	}
	l.until(20*time.Second, "all are neighbors and peers", func() string {
		for _, d := range domains {
			if n := len(l.pimNeighbors(d.node)); n != 2 {
				return fmt.Sprintf("%s has %d neighbors", d.node, n)
			}
			for _, o := range others(d) {
				state := ""
				if l.frr[d.node] != nil {
					state = strings.ToUpper(l.frrPeers(d.node)[o.rp])
				} else {
					state = l.msdpPeer(d.node, o.rp).State
				}
				if state != "ESTABLISHED" {
					return fmt.Sprintf("%s has its peer %s in state %s", d.node, o.node, state)
				}
			}
		}
		return ""
	})
	for _, d := range domains {
		l.do(script.Action{Send: &script.Send{Host: d.host, Group: addr(d.group), Rate: 100, TTL: 64, Size: 100}})
	}
	l.until(10*time.Second, "all RPs know all sources", func() string {
		for _, d := range domains {
			var want []string
			for _, s := range domains {
				who := "RP " + s.rp
				if s == d {
					who = "of our own"
				}
				want = append(want, fmt.Sprintf("(%s, %s) %s", s.source, s.group, who))
			}
			if diff := differ(l.sourceActives(d.node), want); diff != "" {
				return d.node + ": " + diff
			}
		}
		return ""
	})
	for _, d := range domains {
		for _, o := range others(d) {
			l.do(script.Action{Join: &script.Membership{Host: d.host, Group: addr(o.group)}})
		}
	}
	least := 50
	arrive := func() string {
		for _, d := range domains {
			for _, o := range others(d) {
				if s := fewer(l.Received(d.host, addr(o.group)).Packets, least); s != "" {
					return fmt.Sprintf("%s from %s: %s", d.host, o.host, s)
				}
			}
		}
		return ""
	}
	l.until(15*time.Second, "packets arrive", arrive)
	begin := map[[2]string]script.Received{}
	for _, d := range domains {
		for _, o := range others(d) {
			begin[[2]string{d.host, o.host}] = l.Received(d.host, addr(o.group))
		}
	}
	least += 800 // 8 s: longer than a Join is held
	l.until(20*time.Second, "state is refreshed", arrive)
	for _, d := range domains {
		for _, o := range others(d) {
			was, now := begin[[2]string{d.host, o.host}], l.Received(d.host, addr(o.group))
			if now.Lost > was.Lost || now.Duplicates > was.Duplicates {
				t.Errorf("%s lost %d packets of %s, %d came twice", d.host, now.Lost-was.Lost, o.host, now.Duplicates-was.Duplicates)
			}
			if was.Lost > 0 || was.Duplicates > 0 {
				t.Logf("at the start %s lost %d packets of %s, %d came twice", d.host, was.Lost, o.host, was.Duplicates)
			}
		}
	}
	for _, d := range domains[:2] {
		for _, o := range others(d) {
			if p := l.msdpPeer(d.node, o.rp); p.Resets != 0 || p.RpfFailures != 0 || p.Unknown != 0 {
				t.Errorf("%s: peer %s was reset %d times, refused by RPF %d, not understood %d", d.node, o.node, p.Resets, p.RpfFailures, p.Unknown)
			}
		}
	}

	seen := l.finish()
	for _, m := range mesh {
		if seen[m] == 0 {
			t.Errorf("%s was not on the wire", m)
		}
	}
	// FRR 8.4.4 floods back: it sends on to one member of the group what the other told.
	var want, may []string
	for _, d := range domains {
		for _, o := range others(d) {
			want = append(want, fmt.Sprintf("%s to %s: (%s, %s) RP %s", d.rp, o.rp, d.source, d.group, d.rp))
			if l.frr[d.node] != nil {
				third := others(d)[0]
				if third == o {
					third = others(d)[1]
				}
				may = append(may, fmt.Sprintf("%s to %s: (%s, %s) RP %s", d.rp, o.rp, third.source, third.group, third.rp))
			}
		}
	}
	l.told(want, may...)
}

// pimNeighbors returns the addresses of the PIM neighbors of a router.
func (l *lab) pimNeighbors(node string) []string {
	l.t.Helper()
	var list []string
	if l.frr[node] == nil {
		for _, n := range ask(l, l.Client(node).ListPIMNeighbors, &grovev1.ListPIMNeighborsRequest{}).Neighbors {
			list = append(list, n.Address)
		}
		return list
	}
	for _, neighbors := range show[map[string]map[string]any](l, node, "show ip pim neighbor") {
		list = slices.AppendSeq(list, maps.Keys(neighbors))
	}
	return list
}

// TestMSDPKilled: RPs beside the way of the data, one of grove and one of FRR, are killed in turn and come back. What had begun goes
// on without them, not a packet is lost and none comes twice. What grove had of FRR's source it forgets after SG-State-Period. When
// they are back, each knows the other's source again.
func TestMSDPKilled(t *testing.T) {
	t.Parallel()
	const dir = "testdata/msdpkill"
	const rpQ, rpP, sourceA, sourceB = "198.51.100.254", "203.0.113.254", "198.51.100.10", "203.0.113.10"
	p := frr.New(t, dir+"/p.frr")
	l := start(t, topology(t, dir, "interop-msdpkill"), dir, map[string]*frr.Router{"p": p})
	l.offloadOff("h1", "eth1")
	l.offloadOff("h2", "eth1")
	peers := func() string {
		if s := l.msdpPeer("q", rpP).State; s != "ESTABLISHED" {
			return "q's peer is " + s
		}
		return differ(l.frrPeers("p"), map[string]string{rpQ: "established"})
	}
	ofA, ofB := fmt.Sprintf("(%s, %s) ", sourceA, groupA), fmt.Sprintf("(%s, %s) ", sourceB, groupB)
	knows := func(node string, want ...string) func() string {
		return func() string { return differ(l.sourceActives(node), want) }
	}
	know := func() string {
		for _, missing := range []func() string{knows("q", ofA+"of our own", ofB+"RP "+rpP), knows("p", ofA+"RP "+rpQ, ofB+"of our own")} {
			if s := missing(); s != "" {
				return s
			}
		}
		return ""
	}
	l.until(20*time.Second, "all are neighbors, and the RPs peers", func() string {
		for node, want := range map[string]int{"a": 2, "b": 2, "q": 1, "p": 1} {
			if n := len(l.pimNeighbors(node)); n != want {
				return fmt.Sprintf("%s has %d neighbors", node, n)
			}
		}
		return peers()
	})
	flows := []struct{ from, to, group string }{{"h1", "h2", groupA}, {"h2", "h1", groupB}}
	for _, f := range flows {
		l.do(script.Action{Join: &script.Membership{Host: f.to, Group: addr(f.group)}})
	}
	l.until(10*time.Second, "the RPs have receivers", func() string {
		for node, group := range map[string]string{"q": groupB, "p": groupA} {
			if s := l.stateOf(node, "*", group); s == nil || !s.joined {
				return fmt.Sprintf("%s: %+v", node, s)
			}
		}
		return ""
	})
	for _, f := range flows {
		l.do(script.Action{Send: &script.Send{Host: f.from, Group: addr(f.group), Rate: 100, TTL: 64, Size: 100}})
	}
	l.until(10*time.Second, "the RPs know both sources", know)
	l.until(10*time.Second, "the last hops have joined the sources", func() string {
		for node, s := range map[string][2]string{"a": {sourceB, groupB}, "b": {sourceA, groupA}} {
			if d := differ(l.stateOf(node, s[0], s[1]), &state{in: "eth1", out: []string{"eth2"}, joined: true}); d != "" {
				return node + ": " + d
			}
		}
		return ""
	})
	begin := map[string]script.Received{}
	for _, f := range flows {
		begin[f.to] = l.Received(f.to, addr(f.group))
		t.Logf("to %s: at the start %d lost, %d came twice", f.to, begin[f.to].Lost, begin[f.to].Duplicates)
	}
	// goesOn looks on while 200 more packets come of each source, and at all that have come.
	goesOn := func(while string) {
		t.Helper()
		least := map[string]int{}
		for _, f := range flows {
			least[f.to] = l.Received(f.to, addr(f.group)).Packets + 200
		}
		l.until(10*time.Second, "packets come "+while, func() string {
			for _, f := range flows {
				if s := fewer(l.Received(f.to, addr(f.group)).Packets, least[f.to]); s != "" {
					return f.to + ": " + s
				}
			}
			return ""
		})
		for _, f := range flows {
			if r, b := l.Received(f.to, addr(f.group)), begin[f.to]; r.Lost > b.Lost || r.Duplicates > b.Duplicates {
				t.Errorf("%s: %d packets to %s lost, %d came twice", while, r.Lost-b.Lost, f.to, r.Duplicates-b.Duplicates)
			}
		}
	}
	goesOn("with both RPs")

	if err := p.Kill("pimd"); err != nil {
		t.Fatal(err)
	}
	l.until(10*time.Second, "q has lost its peer", func() string {
		if s := l.msdpPeer("q", rpP).State; s == "ESTABLISHED" {
			return s
		}
		return ""
	})
	if d := knows("q", ofA+"of our own", ofB+"RP "+rpP)(); d != "" {
		t.Errorf("what FRR told is remembered: %s", d)
	}
	goesOn("without FRR")
	l.until(40*time.Second, "what FRR told is forgotten", knows("q", ofA+"of our own"))
	goesOn("without FRR's Source-Active")
	if err := l.In("p", func() error { return p.Restart(t.Context(), "pimd") }); err != nil {
		t.Fatal(err)
	}
	l.until(20*time.Second, "FRR is back: the RPs are peers", peers)
	l.until(20*time.Second, "and know both sources again", know)
	goesOn("with FRR again")

	told := func() int {
		return show[map[string]struct{ SaRcvd int }](l, "p", "show ip msdp peer detail")[rpQ].SaRcvd
	}
	before := told()
	if err := l.Kill("q"); err != nil {
		t.Fatal(err)
	}
	l.until(10*time.Second, "p has lost its peer", func() string { return differ(l.frrPeers("p"), map[string]string{rpQ: "listen"}) })
	goesOn("without grove's RP")
	if err := l.Restart(t.Context(), "q"); err != nil {
		t.Fatal(err)
	}
	l.until(20*time.Second, "grove is back: the RPs are peers", peers)
	l.until(20*time.Second, "grove tells of its source again, and both know both", func() string {
		if told() <= before {
			return "it has told nothing yet"
		}
		return know()
	})
	goesOn("with grove again")
}

// routeServer is BIRD as a program of a lab.
type routeServer struct {
	*bird.Router
	address string // on eth1, of /24
	dir     string
}

// Start implements netns.Program.
func (r *routeServer) Start(_ context.Context, dir string) error {
	r.dir = dir
	for _, args := range [][]string{{"addr", "add", r.address + "/24", "dev", "eth1"}, {"link", "set", "eth1", "up"}, {"link", "set", "lo", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	return r.Router.Start(dir)
}

// Addresses returns its address.
func (r *routeServer) Addresses() []string { return []string{r.address} }

// Stop implements netns.Program.
func (r *routeServer) Stop() error {
	r.Router.Stop()
	return nil
}

// TestMSDPAtExchange: two domains meet at an exchange, where BIRD hands their multicast routes on (a route server, RFC 7947). RPF,
// peer-RPF and the data follow these routes. They are peers of MSDP by the addresses of both links, and take each other's
// Source-Actives of the one that is the next hop only. BIRD is killed: all of it goes the unicast way; BIRD is back: and back again.
func TestMSDPAtExchange(t *testing.T) {
	t.Parallel()
	const dir = "testdata/exchange"
	const rpA, rpB, sourceA, sourceB = "198.51.100.254", "203.0.113.254", "198.51.100.10", "203.0.113.10"
	server := &routeServer{Router: bird.New(t, dir+"/bird.conf"), address: "10.0.12.9"}
	l := startPrograms(t, topology(t, dir, "interop-exchange"), os.DirFS(dir), map[string]netns.Program{"bird": server})
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(server.Log())
		}
	})
	// way says which link all of it takes: "eth1", "eth2", or what is not alike.
	way := func() string {
		type side struct{ node, rp, source, group, other string }
		var all []string
		for _, s := range []side{{"a", rpB, sourceB, groupB, "2"}, {"b", rpA, sourceA, groupA, "1"}} {
			rpf := ask(l, l.Client(s.node).GetMSDPRPF, &grovev1.GetMSDPRPFRequest{Rp: s.rp})
			peer := map[string]string{"10.0.12." + s.other: "eth1", "10.0.21." + s.other: "eth2"}[rpf.RpfPeer]
			_, rest, _ := strings.Cut(l.rpf(s.node, s.source), " on ")
			link, _, _ := strings.Cut(rest, " ")
			in := l.mroute(s.node, s.source, s.group).GetIncomingInterface()
			all = append(all, "peer-RPF "+peer, "RPF "+link, "data "+in)
		}
		for _, link := range []string{"eth1", "eth2"} {
			if differ(slices.Compact(slices.Sorted(slices.Values(all))), []string{"RPF " + link, "data " + link, "peer-RPF " + link}) == "" {
				return link
			}
		}
		return fmt.Sprint(all)
	}
	l.until(20*time.Second, "all are neighbors and peers", func() string {
		for node, other := range map[string]string{"a": "2", "b": "1"} {
			if n := len(l.pimNeighbors(node)); n != 2 {
				return fmt.Sprintf("%s has %d neighbors", node, n)
			}
			for _, link := range []string{"12", "21"} {
				if s := l.msdpPeer(node, "10.0."+link+"."+other).State; s != "ESTABLISHED" {
					return fmt.Sprintf("%s: its peer at %s is %s", node, link, s)
				}
			}
		}
		return ""
	})
	l.until(20*time.Second, "BIRD has handed the routes on", func() string {
		return differ([]string{l.rpf("a", sourceB), l.rpf("b", sourceA)}, []string{"10.0.12.2 on eth1 by bgp", "10.0.12.1 on eth1 by bgp"})
	})
	if rule := ask(l, l.Client("a").GetMSDPRPF, &grovev1.GetMSDPRPFRequest{Rp: rpB}).Rule; !strings.HasPrefix(rule, "(ii)") {
		t.Errorf("peer-RPF by rule %s, want (ii), the EBGP next hop", rule)
	}
	links := map[string]*sniffer{"eth1": l.sniff("a", "eth1"), "eth2": l.sniff("a", "eth2")}
	flows := []struct{ source, from, to, group string }{{sourceA, "h1", "h2", groupA}, {sourceB, "h2", "h1", groupB}}
	for _, f := range flows {
		l.do(script.Action{Join: &script.Membership{Host: f.to, Group: addr(f.group)}})
	}
	for _, f := range flows {
		l.do(script.Action{Send: &script.Send{Host: f.from, Group: addr(f.group), Rate: 100, TTL: 64, Size: 100}})
	}
	// settled waits until all takes one link, and looks on while 200 more packets of each source come, each once and by that link.
	settled := func(when, link string) {
		t.Helper()
		l.until(20*time.Second, when+": RPF, peer-RPF and data are on "+link, func() string { return differ(way(), link) })
		type seen struct {
			script.Received
			astray int
		}
		look := func(source, to, group string) seen {
			other := map[string]string{"eth1": "eth2", "eth2": "eth1"}[link]
			return seen{l.Received(to, addr(group)), links[other].count(source, group)}
		}
		for _, f := range flows { // what was underway when it changed has come
			n := l.Received(f.to, addr(f.group)).Packets
			l.until(10*time.Second, "packets come to "+f.to, func() string { return fewer(l.Received(f.to, addr(f.group)).Packets, n+50) })
		}
		begin := map[string]seen{}
		for _, f := range flows {
			begin[f.to] = look(f.source, f.to, f.group)
		}
		l.until(10*time.Second, "more come", func() string {
			for _, f := range flows {
				if s := fewer(l.Received(f.to, addr(f.group)).Packets, begin[f.to].Packets+200); s != "" {
					return f.to + ": " + s
				}
			}
			return ""
		})
		for _, f := range flows {
			now, was := look(f.source, f.to, f.group), begin[f.to]
			if now.Lost > was.Lost || now.Duplicates > was.Duplicates || now.astray > was.astray {
				t.Errorf("%s: %d packets to %s lost, %d came twice, %d took the other link", when, now.Lost-was.Lost, f.to,
					now.Duplicates-was.Duplicates, now.astray-was.astray)
			}
		}
	}
	settled("with BIRD", "eth1")
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	settled("without BIRD", "eth2")
	if err := l.In("bird", func() error { return server.Router.Start(server.dir) }); err != nil {
		t.Fatal(err)
	}
	settled("with BIRD again", "eth1")
	for _, f := range flows {
		t.Logf("to %s: %+v", f.to, l.Received(f.to, addr(f.group)))
	}
}
