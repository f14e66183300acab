package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/msdp"
	"grove/pimsm"
)

// TestMSDP: what stands for an address is worked out, what follows from other values as well, and a secret comes from its
// file, again each time that the configuration is read.
func TestMSDP(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "grove.yml")
	text := `
time-scale: 10
interfaces:
  eth1: {addresses: ["2001:db8::1/64", 192.0.2.1/30, 10.0.0.1/24], pim: {}}
  lo: {addresses: [198.51.100.1/32]}
msdp:
  originator-id: lo
  keepalive-interval: 20s
  filter-in: [{action: deny}]
  sa-interval: 30s
  peers:
    - {address: 192.0.2.2, password: "two words", sa-request: true, ttl-security: 1}
    - {address: 203.0.113.1, connect-source: lo, password-file: peer.secret}
    - {address: 203.0.113.2, connect-source: 198.51.100.1, filter-in: [{action: deny, rp: 10.9.0.0/16}, {group: 239.1.0.0/16}]}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var machines map[engine.MachineID]any
	load := func(secret string) MSDP {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "peer.secret"), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Parse(path, []byte(c.Print())); err != nil || again.Print() != c.Print() {
			t.Errorf("printed and read again: %v", err)
		}
		if strings.Contains(c.Print(), strings.TrimSpace(secret)) {
			t.Error("the secret of the file is printed")
		}
		machines = c.Machines()
		return c.MSDP
	}
	m := load("first of all\n")
	lo := netip.MustParseAddr("198.51.100.1")
	if m.OriginatorID != lo || m.HoldTime != 25*time.Second || m.SAState != 150*time.Second {
		t.Errorf("%+v", m)
	}
	near, far, filtered := m.Peers[0], m.Peers[1], m.Peers[2]
	if near.Local != netip.MustParseAddr("192.0.2.1") || near.Secret != "two words" || !near.Request || near.SecurityHops != 1 {
		t.Errorf("near: %+v", near)
	}
	if far.Local != lo || far.Secret != "first of all" || far.Request {
		t.Errorf("far: %+v", far)
	}
	if f := filtered.In; len(f) != 2 || !f[0].Deny || f[0].Group != netip.MustParsePrefix("224.0.0.0/4") || f[1].Deny ||
		f[1].Source != netip.MustParsePrefix("0.0.0.0/0") {
		t.Errorf("filter: %+v", f)
	}
	if m := load("another one"); m.Peers[1].Secret != "another one" {
		t.Errorf("read again: %+v", m.Peers[1])
	}
	id := engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}
	d := machines[id].(msdp.Config)
	id.Protocol = engine.PIMSM
	if !machines[id].(pimsm.Config).MSDP || len(d.Peers) != 3 || d.Peers[0].MinTTL != 255 || d.Peers[1].Password != "another one" ||
		d.Keepalive != 2*time.Second || d.NoRecommendedFilters || len(d.Peers[1].In) != 1 || !d.Peers[1].In[0].Deny || len(d.Peers[2].In) != 2 ||
		d.Peers[2].MaxSAs != 100_000 || d.Peers[2].Rate != 10_000 {
		t.Errorf("%+v", d)
	}
}
