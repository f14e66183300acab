package config

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/mfib"
	"grove/pimdm"
	"grove/pimsm"
)

// TestAutoRP: while Auto-RP runs dense mode has its two groups on every interface where sparse mode is, and on those no other group that
// it had not; what the router hears it never prunes; times are divided by the time scale. It is of IPv4.
func TestAutoRP(t *testing.T) {
	const interfaces = `
time-scale: 10
interfaces:
  eth1: {pim: {mode: sparse, passive: true}, pim6: {}}
  eth2: {pim: {mode: dense}}
  eth3: {pim: {mode: sparse-dense}}
`
	two := []netip.Prefix{netip.MustParsePrefix("224.0.1.39/32"), netip.MustParsePrefix("224.0.1.40/32")}
	announce, discover := two[0].Addr(), two[1].Addr()
	for _, test := range []struct {
		text   string
		runs   bool
		listen bool
		own    []netip.Addr
	}{
		{"", false, false, nil},
		{"pim: {ipv4: {auto-rp: {max-mappings: 5}}}", false, false, nil},
		{"pim: {ipv4: {auto-rp: {listen: true}}}", true, true, []netip.Addr{discover}},
		{"pim: {ipv4: {auto-rp: {candidates: [{address: 10.0.0.1, interval: 30s}]}}}", true, true, []netip.Addr{discover}},
		{"pim: {ipv4: {auto-rp: {listen: false, candidates: [{address: 10.0.0.1}]}}}", true, false, nil},
		{"pim: {ipv4: {auto-rp: {agent: {address: 10.0.0.1}}}}", true, true, []netip.Addr{announce, discover}},
	} {
		c, err := Parse("x", []byte(interfaces+test.text))
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		m := c.Machines()
		id := func(p engine.Protocol) engine.MachineID { return engine.MachineID{Protocol: p, Family: engine.IPv4} }
		sparse, dense, table := m[id(engine.PIMSM)].(pimsm.Config), m[id(engine.PIMDM)].(pimdm.Config), m[id(engine.MFIB)].(mfib.Config)
		if sparse.AutoRP.On() != test.runs || sparse.AutoRP.Listen != test.listen || !slices.Equal(dense.Own, test.own) {
			t.Errorf("%s: runs %v, listens %v, dense mode never prunes %v", test.text, sparse.AutoRP.On(), sparse.AutoRP.Listen, dense.Own)
		}
		for _, name := range []string{"eth1", "eth2", "eth3"} {
			d, isDense := dense.Interfaces[name]
			var owners []netip.Prefix
			for _, o := range table.Interfaces[name].Groups {
				if o.Owner == engine.PIMDM {
					owners = append(owners, o.Groups)
				}
			}
			var want []netip.Prefix
			if test.runs && name != "eth2" {
				want = two
			}
			if isDense != (name != "eth1" || test.runs) || !slices.Equal(d.Dense, want) || !slices.Equal(owners, want) {
				t.Errorf("%s: %s: dense %v, for sure %v, in the table %v", test.text, name, isDense, d.Dense, owners)
			}
			if name == "eth1" && isDense && (!d.Silent || !d.Passive || !d.NoStateRefresh || d.SparseDense) {
				t.Errorf("%s: eth1: %+v", test.text, d)
			}
		}
		for _, x := range sparse.AutoRP.Candidates {
			if x.Scope != 31 || x.Holdtime != 3*x.Interval || x.Interval > 6*time.Second {
				t.Errorf("%s: %+v", test.text, x)
			}
		}
		v6 := engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv6}
		if p, ok := m[v6].(pimsm.Config); !ok || p.AutoRP.On() {
			t.Errorf("%s: IPv6: %v %+v", test.text, ok, p.AutoRP)
		}
		v6.Protocol = engine.PIMDM
		if _, ok := m[v6]; ok {
			t.Errorf("%s: dense mode of IPv6 runs", test.text)
		}
	}
}
