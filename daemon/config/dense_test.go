package config

import (
	"testing"
	"time"

	"grove/internal/engine"
	"grove/mfib"
	"grove/pimdm"
	"grove/pimsm"
)

const modes = `
time-scale: 10
interfaces:
  eth1: {pim: {mode: sparse}}
  eth2: {pim: {mode: dense}, multicast: {ttl-threshold: 8, boundary: [239.192.0.0/14, "ff05::/16"]}}
  eth3: {pim: {mode: sparse-dense}}
  eth4: {pim: {mode: sparse-dense, state-refresh: false}}
pim:
  ipv4: {rp: [{address: 10.255.0.1, groups: [239.1.0.0/16, 239.2.0.0/16]}, {address: 10.255.0.2, groups: [239.3.0.0/16]}]}
`

// TestModes: sparse mode runs where the mode says so, dense mode likewise; where both do, sparse mode has the groups of RPs
// and the source-specific ones and speaks Hello, dense mode has the others and listens.
func TestModes(t *testing.T) {
	c, err := Parse("x", []byte(modes))
	if err != nil {
		t.Fatal(err)
	}
	m := c.Machines()
	id := func(p engine.Protocol) engine.MachineID { return engine.MachineID{Protocol: p, Family: engine.IPv4} }
	sparse, dense, table := m[id(engine.PIMSM)].(pimsm.Config), m[id(engine.PIMDM)].(pimdm.Config), m[id(engine.MFIB)].(mfib.Config)
	for _, test := range []struct {
		name          string
		sparse, dense bool
		owner         engine.Protocol
	}{
		{"eth1", true, false, engine.PIMSM}, {"eth2", false, true, engine.PIMDM}, {"eth3", true, true, engine.PIMDM}, {"eth4", true, true, engine.PIMDM},
	} {
		_, isSparse := sparse.Interfaces[test.name]
		d, isDense := dense.Interfaces[test.name]
		owner := table.Interfaces[test.name]
		if isSparse != test.sparse || isDense != test.dense || owner.Owner != test.owner {
			t.Errorf("%s: sparse %v, dense %v, owner %s", test.name, isSparse, isDense, owner.Owner)
		}
		both := test.sparse && test.dense
		if d.Silent != both || d.SparseDense != both || owner.SparseDense != both {
			t.Errorf("%s: silent %v, both modes %v and in the table %v", test.name, d.Silent, d.SparseDense, owner.SparseDense)
		}
	}
	if !sparse.SparseDense {
		t.Error("sparse mode does not say which groups are its own")
	}
	// The Hellos of sparse mode carry what dense mode would say.
	if a, b, c := sparse.Interfaces["eth1"].StateRefreshInterval, sparse.Interfaces["eth3"].StateRefreshInterval,
		sparse.Interfaces["eth4"].StateRefreshInterval; a != 0 || b != 6*time.Second || c != 0 {
		t.Errorf("State Refresh intervals in Hellos: %v %v %v", a, b, c)
	}
	if d := dense.Interfaces["eth2"]; d.Threshold != 8 || len(d.Boundary) != 1 || d.HelloPeriod != 3*time.Second {
		t.Errorf("eth2: %+v", d)
	}
	if dense.PruneHoldtime != 21*time.Second || dense.GraftRetryPeriod != 300*time.Millisecond || dense.GraftRetries != 20 ||
		dense.RefreshLimit != 500*time.Millisecond || dense.NoStateRefresh {
		t.Errorf("%+v", dense)
	}
}

// TestOneMode: with one mode only its machine runs.
func TestOneMode(t *testing.T) {
	for _, test := range []struct {
		text          string
		sparse, dense bool
	}{
		{"interfaces: {eth1: {pim: {}, pim6: {}}}", true, false},
		{"interfaces: {eth1: {pim: {mode: dense}, pim6: {mode: dense}}}", false, true},
		{"interfaces: {eth1: {pim: {mode: sparse-dense}, pim6: {mode: sparse-dense}}}", true, true},
	} {
		c, err := Parse("x", []byte(test.text))
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
			m := c.Machines()
			_, sparse := m[engine.MachineID{Protocol: engine.PIMSM, Family: f}]
			_, dense := m[engine.MachineID{Protocol: engine.PIMDM, Family: f}]
			if sparse != test.sparse || dense != test.dense {
				t.Errorf("%s: %v: sparse %v, dense %v", test.text, f, sparse, dense)
			}
			if p, ok := m[engine.MachineID{Protocol: engine.PIMSM, Family: f}].(pimsm.Config); ok && p.SparseDense != dense {
				t.Errorf("%s: %v: dense %v, but sparse mode has to say which groups are its own: %v", test.text, f, dense, p.SparseDense)
			}
		}
	}
}
