package config

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"grove/igmp"
	"grove/internal/engine"
	"grove/mfib"
	"grove/pimsm"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var same = []cmp.Option{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmpopts.EquateEmpty()}

// golden compares got with a file, or rewrites the file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); -update rewrites it:\n%s", path, diff)
	}
}

// TestExamples: the files that are shipped are valid, and what is printed of them reads back as the same.
func TestExamples(t *testing.T) {
	for _, name := range []string{"router", "host", "full"} {
		t.Run(name, func(t *testing.T) {
			c, err := Load("testdata/" + name + ".yml")
			if err != nil {
				t.Fatal(err)
			}
			printed := c.Print()
			golden(t, "testdata/"+name+".printed.yml", printed)
			again, err := Parse("testdata/printed", []byte(printed))
			if err != nil {
				t.Fatalf("what was printed is faulty: %v\n%s", err, printed)
			}
			if diff := cmp.Diff(c, again, same...); diff != "" {
				t.Errorf("read back it differs:\n%s", diff)
			}
		})
	}
}

// TestFaults: every fault of a file is reported, each with its place, and the file is refused.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faulty*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal("no faulty files", err)
	}
	for _, file := range files {
		c, err := Load(file)
		var faulty *Error
		if c != nil || !errors.As(err, &faulty) {
			t.Errorf("%s: Load returned %v, %v", file, c, err)
			continue
		}
		golden(t, strings.TrimSuffix(file, ".yml")+".golden", err.Error()+"\n")
	}
	_, err = Load("testdata/faulty.yml")
	var faulty *Error
	if errors.As(err, &faulty); len(faulty.Faults) < 10 {
		t.Errorf("%d faults, want the ten and more that the file has", len(faulty.Faults))
	}
}

// TestMachines: each machine gets its configuration, with the time scale applied to protocol timers only.
func TestMachines(t *testing.T) {
	c, err := Load("testdata/router.yml")
	if err != nil {
		t.Fatal(err)
	}
	m := c.Machines()
	if len(m) != 8 {
		t.Errorf("%d machines, want mfib, rib, igmp, pimsm of both families", len(m))
	}
	id := func(p engine.Protocol, f engine.Family) engine.MachineID {
		return engine.MachineID{Protocol: p, Family: f}
	}
	hosts := m[id(engine.IGMP, engine.IPv4)].(igmp.Config).Interfaces["eth1"]
	if hosts.QueryInterval != 12500*time.Millisecond || hosts.OlderHostPresent != 26*time.Second || hosts.Version != 3 {
		t.Errorf("igmp on eth1: %+v", hosts)
	}
	pim := m[id(engine.PIMSM, engine.IPv4)].(pimsm.Config)
	if pim.JoinPrunePeriod != 6*time.Second || pim.Interfaces["eth2"].HelloHoldtime != 10500*time.Millisecond || len(pim.Interfaces) != 2 {
		t.Errorf("pimsm: %+v", pim)
	}
	if rp := m[id(engine.PIMSM, engine.IPv6)].(pimsm.Config).RPs[0]; rp.Groups[0] != AllGroups(engine.IPv6) {
		t.Errorf("an RP without groups serves %v", rp.Groups)
	}
	table := m[id(engine.MFIB, engine.IPv4)].(mfib.Config)
	if table.NegativeLife != 6*time.Second || table.CheckInterval != 4*time.Second || table.Interfaces["eth1"].Owner != engine.PIMSM {
		t.Errorf("mfib: %+v", table)
	}
	if _, there := table.Interfaces["lo"]; there {
		t.Error("lo, on which nothing is enabled, has a VIF")
	}
	if b := m[id(engine.MFIB, engine.IPv6)].(mfib.Config).Interfaces["eth1"].Boundaries; len(b) != 0 {
		t.Errorf("IPv6 has the boundaries of IPv4: %v", b)
	}

	host, err := Load("testdata/host.yml")
	if err != nil {
		t.Fatal(err)
	}
	if m := host.Machines(); len(m) != 0 {
		t.Errorf("a host has machines: %v", m)
	}
}

// TestMinimal: an empty file is valid; nothing is enabled.
func TestMinimal(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "interfaces:\n", "---\n", "{}"} {
		c, err := Parse("empty", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if len(c.Machines()) != 0 {
			t.Errorf("%q: machines %v", text, c.Machines())
		}
	}
}

// FuzzParse: no text makes Parse panic; what is accepted prints as a file that reads back as the same.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("fuzz", data)
		if err != nil {
			var faulty *Error
			if !errors.As(err, &faulty) || len(faulty.Faults) == 0 {
				t.Fatalf("an error without faults: %v", err)
			}
			for _, fault := range faulty.Faults {
				if fault.Line < 1 || fault.Column < 1 {
					t.Fatalf("a fault without a place: %v", fault)
				}
			}
			return
		}
		again, err := Parse("testdata/printed", []byte(c.Print()))
		if err != nil {
			t.Fatalf("what was printed is faulty: %v\n%s", err, c.Print())
		}
		if diff := cmp.Diff(c, again, same...); diff != "" {
			t.Fatalf("read back it differs:\n%s", diff)
		}
	})
}
