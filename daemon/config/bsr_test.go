package config

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/bootstrap"
	"grove/pimsm"
)

const bsrs = `
time-scale: 10
interfaces:
  lo: {addresses: [10.255.0.1/32, "2001:db8::1/128"]}
  eth1: {pim: {bsr-border: true}, pim6: {}, multicast: {boundary: [239.1.0.0/16, "ff05::/16", "ff15:1::/32"]}}
  eth2: {pim: {}, pim6: {bsr-border: true}, multicast: {boundary: [239.0.0.0/8]}}
  eth3: {igmp: {}, multicast: {boundary: [239.2.0.0/16]}}
pim:
  ipv4:
    bsr:
      candidate: {address: 10.255.0.1}
      candidate-rp: [{address: 10.255.0.1, advertisement-period: 40s}, {address: 10.255.0.2, groups: [239.0.0.0/8], priority: 0}]
      period: 30s
  ipv6: {bsr: {enabled: false}}
`

// TestBSR: what the machine has of the mechanism's configuration. Times are divided by the time scale, borders are those of the
// family, and a boundary is one of interfaces on which the family's PIM runs.
func TestBSR(t *testing.T) {
	c, err := Parse("x", []byte(bsrs))
	if err != nil {
		t.Fatal(err)
	}
	of := func(f engine.Family) *bootstrap.Config {
		return c.Machines()[engine.MachineID{Protocol: engine.PIMSM, Family: f}].(pimsm.Config).BSR
	}
	if got := of(engine.IPv6); got != nil {
		t.Errorf("IPv6, where it is not enabled: %+v", got)
	}
	list := func(s ...string) (p []netip.Prefix) {
		for _, x := range s {
			p = append(p, netip.MustParsePrefix(x))
		}
		return p
	}
	got, a := of(engine.IPv4), netip.MustParseAddr("10.255.0.1")
	want := &bootstrap.Config{
		Candidate: &bootstrap.Candidate{Address: a, Priority: 64, HashMaskLen: 30},
		CandidateRPs: []bootstrap.CandidateRP{
			{Address: a, Groups: list("224.0.0.0/4"), Priority: 192, Period: 4 * time.Second},
			{Address: a.Next(), Groups: list("239.0.0.0/8"), Period: 6 * time.Second},
		},
		// BS_Timeout is 2 * BS_Period + 10 s, SZ_Timeout ten times that (RFC 5059, section 5).
		Period: 3 * time.Second, Timeout: 7 * time.Second, MinInterval: time.Second, ZoneTimeout: 70 * time.Second, Second: 100 * time.Millisecond,
		Borders:    []string{"eth1"},
		Boundaries: map[string][]netip.Prefix{"eth1": list("239.1.0.0/16"), "eth2": list("239.0.0.0/8")},
		MaxZones:   64, MaxMappings: 10_000,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("IPv4:\n%+v\nwant\n%+v", got, want)
	}
	// It is enabled where nothing is said. An IPv6 scope is all groups with its ID: a longer prefix is no border of it.
	interfaces, _, _ := strings.Cut(bsrs, "pim:\n  ipv4")
	if c, err = Parse("x", []byte(interfaces)); err != nil {
		t.Fatal(err)
	}
	got = of(engine.IPv6)
	if got == nil || !slices.Equal(got.Borders, []string{"eth2"}) || !reflect.DeepEqual(got.Boundaries, map[string][]netip.Prefix{"eth1": list("ff05::/16")}) {
		t.Errorf("IPv6: %+v", got)
	}
}
