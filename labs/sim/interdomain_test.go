package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"grove/daemon/config"
)

// TestFirstPacketsOfAnotherDomain: which packets of a new source a member in another domain gets. The first comes with the message
// that tells of the source (RFC 3618, section 8). The RP of the source has nobody for those that follow, until the other RP's
// Join is there, and stops the DR's Registers (RFC 7761, section 4.4.2): the DR has nobody for them before the Join has reached
// it. From then on each comes once.
func TestFirstPacketsOfAnotherDomain(t *testing.T) {
	router := func(name, text string) *config.Config {
		c, err := config.Parse(name, []byte("hostname: "+name+"\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const msdp = "msdp: {recommended-filters: false, peers: [{address: 10.0.23.%d}]}\n"
	var joined time.Duration // when the Join reached the DR
	s := New(1, Options{OnTransition: func(tr Transition) {
		if joined == 0 && tr.Node.Name() == "r1" && tr.Entity == "downstream (S,G)" && tr.New == "Join" {
			joined = tr.At
		}
	}})
	r1 := s.AddRouter("r1", router("r1", `
interfaces: {eth1: {addresses: [10.1.0.1/24], pim: {}, igmp: {}}, eth2: {addresses: [10.0.12.1/24], pim: {}}}
pim: {ipv4: {rp: [{address: 10.255.0.2}]}}
`), RouterOptions{})
	r2 := s.AddRouter("r2", router("r2", `
interfaces: {lo: {addresses: [10.255.0.2/32]}, eth1: {addresses: [10.0.12.2/24], pim: {}}, eth2: {addresses: [10.0.23.2/24], pim: {}}}
pim: {ipv4: {rp: [{address: 10.255.0.2}]}}
`+fmt.Sprintf(msdp, 3)), RouterOptions{})
	r3 := s.AddRouter("r3", router("r3", `
interfaces: {lo: {addresses: [10.255.0.3/32]}, eth2: {addresses: [10.0.23.3/24], pim: {}}, eth1: {addresses: [10.2.0.1/24], pim: {}, igmp: {}}}
pim: {ipv4: {rp: [{address: 10.255.0.3}]}}
`+fmt.Sprintf(msdp, 2)), RouterOptions{})
	h1, h2 := s.AddHost("h1", HostOptions{}), s.AddHost("h2", HostOptions{})
	host := func(n *Node, addr string) End {
		return End{Node: n, If: "eth1", Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}
	}
	const lan, domain, between = time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond
	s.AddLink("l1", LinkOptions{Delay: lan, Lan: true}, host(h1, "10.1.0.10/24"), End{Node: r1, If: "eth1"})
	s.AddLink("l12", LinkOptions{Delay: domain}, End{Node: r1, If: "eth2"}, End{Node: r2, If: "eth1"})
	s.AddLink("l23", LinkOptions{Delay: between}, End{Node: r2, If: "eth2"}, End{Node: r3, If: "eth2"})
	s.AddLink("l3", LinkOptions{Delay: lan, Lan: true}, End{Node: r3, If: "eth1"}, host(h2, "10.2.0.10/24"))
	group := netip.MustParseAddr("239.1.1.1")
	m := h2.Host().Join("eth1", group)
	s.Run(40 * time.Second)
	began := s.Now()
	const interval = time.Millisecond
	src := h1.AddSource(SourceOptions{If: "eth1", Group: group, Interval: interval, Traced: true})
	s.Run(time.Second)
	src.Stop()
	s.Run(time.Second)
	got := make(map[uint64]int)
	for _, d := range s.Deliveries() {
		if d.Member == m {
			got[d.Seq]++
		}
	}
	// The Register goes to r2, the message to r3, the Join back to r2 and to r1.
	if want := began + lan + 2*domain + 2*between; joined < want || joined > want+5*time.Millisecond {
		t.Errorf("the Join reached r1 after %v, not %v", joined-began, want-began)
	}
	first := src.Seq() + 1
	for _, h := range s.Hops()[1:] {
		if h.From.Node() == h1 {
			first = min(first, h.Seq)
		}
	}
	lost := 0
	for seq := first; seq <= src.Seq(); seq++ {
		arrives := began + time.Duration(seq-first)*interval + lan // at r1
		want := 1
		if seq > first && arrives < joined {
			want = 0
			lost++
		}
		if arrives != joined && got[seq] != want {
			t.Errorf("packet %d reaches r1 %v after the Join, and h2 %d times", seq-first, arrives-joined, got[seq])
		}
	}
	t.Logf("%d of %d packets are lost", lost, len(got)+lost)
}
