package config

import (
	"fmt"
	"strings"
	"testing"

	"grove/internal/engine"
	"grove/internal/rib"
)

// TestRPFLookup: each way to look RPF up is configured by its name, and comes to the rib of both families; without the key it is the
// lower distance.
func TestRPFLookup(t *testing.T) {
	modes := map[string]rib.Mode{
		"": rib.LowerDistance, "lower-distance": rib.LowerDistance, "longer-prefix": rib.LongerPrefix, "mrib-then-urib": rib.MRIBThenURIB,
		"mrib-only": rib.MRIBOnly, "urib-only": rib.URIBOnly,
	}
	if len(modes) != len(rib.ModeNames())+1 {
		t.Errorf("the modes are %v", rib.ModeNames())
	}
	for name, want := range modes {
		text := "interfaces: {eth1: {pim: {}, pim6: {}}}\n"
		if name != "" {
			text += "rpf-lookup: " + name + "\n"
		}
		c, err := Parse("x", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
			if got := c.Machines()[engine.MachineID{Protocol: engine.RIB, Family: f}].(rib.Config).Mode; got != want {
				t.Errorf("%q: %v has %v", name, f, got)
			}
		}
		if again, err := Parse("x", []byte(c.Print())); err != nil || again.RPFLookup != want {
			t.Errorf("%q printed and read again: %v", name, err)
		}
	}
}

// TestBGPPrefixes: the lines of a prefix list, as they are meant and as they are written again.
func TestBGPPrefixes(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8":                   "10.0.0.0/8 from 8 to 8",
		"10.0.0.0/8 le 24":             "10.0.0.0/8 from 8 to 24",
		"10.0.0.0/8 ge 16":             "10.0.0.0/8 from 16 to 32",
		"10.0.0.0/8 ge 16 le 24":       "10.0.0.0/8 from 16 to 24",
		"10.0.0.0/8 le 24 ge 16":       "10.0.0.0/8 from 16 to 24",
		"10.0.0.0/8 ge 24 le 24":       "10.0.0.0/8 from 24 to 24",
		"0.0.0.0/0 le 32":              "0.0.0.0/0 from 0 to 32",
		"2001:db8::/32 ge 48":          "2001:db8::/32 from 48 to 128",
		"10.0.0.0/8 ge 4":              "not a length",
		"10.0.0.0/8 le 33":             "not a length",
		"10.0.0.0/8 ge 24 le 16":       "is more than",
		"10.0.0.0/8 eq 16":             "neither ge nor le",
		"10.0.0.0/8 ge":                "not a line",
		"10.0.0.1/8":                   "not a network",
		"::ffff:10.0.0.0/104":          "not a network",
		"":                             "not a line",
		"10.0.0.0/8 ge 16 le 24 ge 17": "10.0.0.0/8 from 17 to 24",
	} {
		p, err := parseBGPPrefix(text)
		got := fmt.Sprintf("%v from %d to %d", p.Prefix, p.Min, p.Max)
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		if err != nil {
			continue
		}
		if again, err := parseBGPPrefix(p.String()); err != nil || again != p {
			t.Errorf("%q is written %q: %v", text, p, err)
		}
	}
}
