package config

import (
	"net/netip"
	"testing"
	"time"

	"grove/dvmrp"
	"grove/internal/engine"
	"grove/mfib"
)

// TestDVMRP: its interfaces are its own in the forwarding table, times are divided by the time scale, what messages say
// likewise; what follows from another time is worked out.
func TestDVMRP(t *testing.T) {
	c, err := Parse("x", []byte(`
time-scale: 10
interfaces:
  eth1: {dvmrp: {}}
  eth2: {dvmrp: {metric: 3}, igmp: {}, multicast: {ttl-threshold: 8, boundary: [239.192.0.0/14, "ff05::/16"]}}
  eth3: {pim: {mode: dense}}
dvmrp: {report-interval: 30s, originate: {networks: [{prefix: 10.7.0.0/16}]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	m := c.Machines()
	id := func(p engine.Protocol) engine.MachineID { return engine.MachineID{Protocol: p, Family: engine.IPv4} }
	d, table := m[id(engine.DVMRP)].(dvmrp.Config), m[id(engine.MFIB)].(mfib.Config)
	if len(d.Interfaces) != 2 || table.Interfaces["eth1"].Owner != engine.DVMRP || table.Interfaces["eth3"].Owner != engine.PIMDM {
		t.Errorf("%+v, owners %v", d.Interfaces, table.Interfaces)
	}
	if i := d.Interfaces["eth2"]; i.Metric != 3 || i.Threshold != 8 || len(i.Boundary) != 1 || i.Boundary[0] != netip.MustParsePrefix("239.192.0.0/14") {
		t.Errorf("eth2: %+v", i)
	}
	if d.ReportInterval != 3*time.Second || d.RouteExpiration != 8*time.Second || d.HoldDown != 6*time.Second ||
		d.SecondOnWire != 100*time.Millisecond || d.PruneLifetime != 720*time.Second || d.Originate.Networks[0].Metric != 1 {
		t.Errorf("%+v", d)
	}
	if _, there := m[engine.MachineID{Protocol: engine.DVMRP, Family: engine.IPv6}]; there {
		t.Error("DVMRP for IPv6")
	}
}
