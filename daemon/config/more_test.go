package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grove/igmp"
	"grove/internal/engine"
	"grove/mfib"
	"grove/pimsm"
)

// TestEveryFieldIsReachable: full.yml gives every field of every machine's configuration another value than the default:
// nothing that can be configured lacks a key.
func TestEveryFieldIsReachable(t *testing.T) {
	full, err := Load("testdata/full.yml")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Parse("plain", []byte("table: 7\ninterfaces: {eth0.100: {igmp: {}, mld: {}, pim: {mode: sparse-dense}, pim6: {mode: sparse-dense}}, eth2: {dvmrp: {}}}\nmsdp: {peers: [{address: 10.0.0.2, connect-source: 10.0.0.1}]}"))
	if err != nil {
		t.Fatal(err)
	}
	full.TimeScale = 1
	has, had := full.Machines(), plain.Machines()
	reached := make(map[string]bool)
	var note func(path string, a, b reflect.Value)
	note = func(path string, a, b reflect.Value) {
		switch a.Kind() {
		case reflect.Struct:
			if a.Type().PkgPath() == "net/netip" {
				break
			}
			for i := range a.NumField() {
				note(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
			}
			return
		case reflect.Map:
			k := reflect.ValueOf("eth0.100")
			if strings.HasPrefix(path, "dvmrp") {
				k = reflect.ValueOf("eth2")
			}
			if a.Type().Elem().Kind() == reflect.Struct {
				note(path, a.MapIndex(k), b.MapIndex(k))
				return
			}
		}
		reached[path] = reached[path] || !cmp.Equal(a.Interface(), b.Interface(), same...)
	}
	for id, c := range has {
		note(string(id.Protocol), reflect.ValueOf(c), reflect.ValueOf(had[id]))
	}
	// These follow from the protocols that are enabled, and pimdm makes the last of its own settings.
	follows := map[string]bool{"mfib.Interfaces.Owner": true, "pimsm.Interfaces.Silent": true, "pimdm.Interfaces.Config.Silent": true,
		"pimdm.Interfaces.Config.StateRefreshInterval": true, "dvmrp.SecondOnWire": true, "pimsm.MSDP": true, "pimsm.SparseDense": true,
		"mfib.Interfaces.SparseDense": true, "pimdm.Interfaces.SparseDense": true, "pimdm.Interfaces.Sparse": true}
	for path, ok := range reached {
		if !ok && !follows[path] {
			t.Errorf("no key of full.yml reaches %s", path)
		}
	}
	if len(reached) < 45 {
		t.Errorf("only %d fields seen", len(reached))
	}
}

// TestEveryKeyIsInFull: full.yml uses every key of the tables, so that the examples and the tables cannot drift apart.
func TestEveryKeyIsInFull(t *testing.T) {
	full, err := Load("testdata/full.yml")
	if err != nil {
		t.Fatal(err)
	}
	printed := full.Print()
	var walk func(path string, r *reference)
	walk = func(path string, r *reference) {
		for _, k := range r.keys {
			if !strings.Contains(printed, k.name+":") {
				t.Errorf("%s%s is not in full.yml", path, k.name)
			}
			if k.doc == "" || k.takes == "" && k.sub == nil || k.def == "" && k.sub == nil {
				t.Errorf("%s%s is not explained", path, k.name)
			}
			if k.sub != nil {
				walk(path+k.name+".", k.sub)
			}
		}
	}
	walk("", refer(topKeys))
}

// TestDefaults: {} enables a protocol with the values of the RFCs.
func TestDefaults(t *testing.T) {
	c, err := Parse("x", []byte("interfaces: {eth1: {igmp: {}, mld: , pim: {}, pim6: {}}}"))
	if err != nil {
		t.Fatal(err)
	}
	i := c.Interfaces[0]
	for _, p := range []struct {
		got  *igmp.InterfaceConfig
		want igmp.InterfaceConfig
	}{
		{i.IGMP, igmp.InterfaceConfig{Querier: true}.WithDefaults(engine.IPv4)},
		{i.MLD, igmp.InterfaceConfig{Querier: true}.WithDefaults(engine.IPv6)},
	} {
		if diff := cmp.Diff(&p.want, p.got, same...); diff != "" {
			t.Errorf("not the defaults of the package:\n%s", diff)
		}
	}
	if len(c.PIM4.SSM) != 1 || len(c.PIM6.SSM) != 16 || c.PIM6.SSM[15].String() != "ff3f::/32" {
		t.Errorf("SSM %v %v", c.PIM4.SSM, c.PIM6.SSM)
	}
	c, err = Parse("x", []byte("pim: {ipv4: {ssm: []}}"))
	if err != nil || c.PIM4.SSM == nil || len(c.PIM4.SSM) != 0 {
		t.Errorf("ssm: [] is %#v, %v; want none, not nil", c.PIM4.SSM, err)
	}
}

// TestOwner: an interface belongs to PIM where it runs, else to none but IGMP.
func TestOwner(t *testing.T) {
	c, err := Parse("x", []byte("interfaces: {eth1: {igmp: {}}, eth2: {igmp: {}, pim: {}}, eth3: {pim6: {}}, eth4: {addresses: [10.0.0.1/8]}}"))
	if err != nil {
		t.Fatal(err)
	}
	m := c.Machines()
	four := m[engine.MachineID{Protocol: engine.MFIB, Family: engine.IPv4}].(mfib.Config).Interfaces
	if four["eth1"].Owner != engine.IGMP || four["eth2"].Owner != engine.PIMSM || len(four) != 2 {
		t.Errorf("%+v", four)
	}
	if six := m[engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv6}].(pimsm.Config).Interfaces; len(six) != 1 {
		t.Errorf("%+v", six)
	}
	if _, there := m[engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv6}]; there {
		t.Error("MLD runs nowhere, but has a machine")
	}
}

// TestManyInterfaces: the 32nd interface of a family is one too many for the kernel's table; another family counts for
// itself.
func TestManyInterfaces(t *testing.T) {
	file := func(n int, keys string) string {
		text := "interfaces:\n"
		for i := range n {
			text += fmt.Sprintf("  eth%d: {%s}\n", i, keys)
		}
		return text
	}
	if _, err := Parse("x", []byte(file(31, "pim: {}, mld: {}"))); err != nil {
		t.Error(err)
	}
	_, err := Parse("x", []byte(file(33, "igmp: {}, pim: {}")))
	var faulty *Error
	if !errors.As(err, &faulty) || len(faulty.Faults) != 1 || faulty.Faults[0].Line != 33 {
		t.Errorf("%v", err)
	}
}

// TestLineEnds: a file of another system, and one without an end of line, are read the same.
func TestLineEnds(t *testing.T) {
	for _, text := range []string{"hostname: r1\r\ntable: 3\r\n", "hostname: r1\ntable: 3", "\ufeffhostname: r1\ntable: 3\n"} {
		c, err := Parse("x", []byte(text))
		if err != nil || c.Hostname != "r1" || c.Table != 3 {
			t.Errorf("%q: %+v %v", text, c, err)
		}
	}
}

// TestMonsters: files that no one writes are refused at once, with a fault.
func TestMonsters(t *testing.T) {
	for _, part := range []string{"[", "{a: ", "- ", "? ", "{a: [\n", "# a comment\n"} {
		if _, err := Parse("x", []byte(strings.Repeat(part, 1_000_000))); err == nil || len(err.Error()) > 20_000 {
			t.Errorf("a million times %q: %.100v", part, err)
		}
	}
}

// TestNearest: the suggestion is what was probably meant, or none.
func TestNearest(t *testing.T) {
	known, also := names(neighborKeys), aliases(neighborKeys)
	for name, want := range map[string]string{
		"helo-period": "hello-period", "hello_period": "hello-period", "HelloPeriod": "hello-period", "hello-interval": "hello-period",
		"holdtime": "hello-holdtime", "dr-prioirty": "dr-priority", "priority": "dr-priority", "pasive": "passive", "xyzzy": "",
	} {
		if got := nearest(name, known, also); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
