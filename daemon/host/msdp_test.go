package host

import (
	"net/netip"
	"testing"

	"grove/daemon/nstest"
	"grove/internal/engine"
	"grove/msdp"
)

// A query of one machine that needs an answer of another is answered: why MSDP takes what it takes of an RP of which it has
// not heard yet.
func TestQueryThatAsksOn(t *testing.T) {
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	r := run(t, a, `
interfaces:
  eth1: {addresses: [10.0.0.5/24], pim: {}}
routes:
  - {to: 10.9.0.0/16, via: 10.0.0.1}
msdp: {peers: [{address: 10.0.0.1, connect-source: 10.0.0.5}]}
`)
	eventually(t, patience, "the route", func() bool { return a.HasRoute("10.9.0.0/16", "10.0.0.1") })
	for range 2 { // when the path is not known, and when it is
		v, err := r.Query(t.Context(), engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}, "rpf", "10.9.0.1")
		if err != nil {
			t.Fatal(err)
		}
		if x := v.(msdp.RPFShow); x.RP != netip.MustParseAddr("10.9.0.1") || len(x.Compared) == 0 {
			t.Errorf("%+v", x)
		}
	}
}
