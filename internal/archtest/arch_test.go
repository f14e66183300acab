package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const mode = packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps |
	packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo

func load(t *testing.T, patterns ...string) []*packages.Package {
	t.Helper()
	pkgs, err := packages.Load(&packages.Config{Mode: mode, Dir: "../.."}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			t.Fatal(e)
		}
	}
	return pkgs
}

// TestMachines: nothing that a Machine must not have is in a protocol package, nor in what it imports of ours.
func TestMachines(t *testing.T) {
	patterns := []string{"./internal/engine", "./internal/rib", "./internal/pim/...", "./daemon/router"}
	for _, p := range protocols {
		if _, err := os.Stat(filepath.Join("../..", p)); err == nil {
			patterns = append(patterns, "./"+p, "./"+p+"/wire")
		}
	}
	var there []string
	for _, p := range patterns {
		if _, err := os.Stat(filepath.Join("../..", strings.TrimSuffix(p, "/..."))); err == nil {
			there = append(there, p)
		}
	}
	pkgs := load(t, there...)
	if len(pkgs) < 8 {
		t.Fatalf("only %d packages to read: the patterns are wrong", len(pkgs))
	}
	for _, f := range Check(pkgs) {
		t.Error(f)
	}
}

// TestBans: each ban is found where a fixture breaks it, also behind an import, and clean code is clean.
func TestBans(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/*")
	if err != nil || len(fixtures) < 10 {
		t.Fatalf("fixtures: %v, %v", fixtures, err)
	}
	for _, dir := range fixtures {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			found := Check(load(t, "./internal/archtest/"+dir))
			if clean := name == "clean"; clean != (len(found) == 0) {
				t.Errorf("found %q", found)
			}
		})
	}
}

// TestFloors: no package of the module imports upwards or sideways.
func TestFloors(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedImports, Dir: "../.."}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pkgs {
		for path := range p.Imports {
			if why := Forbidden(p.PkgPath, path); why != "" {
				t.Errorf("%s imports %s: %s", p.PkgPath, path, why)
			}
		}
	}
}

// TestForbidden: the rule itself says no, and yes, where it should.
func TestForbidden(t *testing.T) {
	for _, c := range []struct {
		importer, imported string
		ok                 bool
	}{
		{"grove/pimsm", "grove/internal/engine", true},
		{"grove/pimsm", "grove/pimsm/wire", true},
		{"grove/pimsm", "grove/igmp", false},
		{"grove/pimsm", "grove/mfib", false},
		{"grove/igmp", "grove/daemon/config", false},
		{"grove/internal/rib", "grove/igmp", false},
		{"grove/internal/rib", "grove/internal/engine", true},
		{"grove/daemon/router", "grove/pimsm", true},
		{"grove/daemon/router", "grove/labs/sim", false},
		{"grove/labs/sim", "grove/daemon/router", true},
		{"grove/labs/sim", "grove/cmd/grove", false},
		{"grove/cmd/groved", "grove/daemon/host", true},
		{"grove/daemon/host", "grove/mfib/kernel", true},
		{"grove/mfib", "grove/mfib/kernel", false},
		{"grove/labs/netns", "grove/mfib/kernel", false},
		{"grove/daemon/host", "golang.org/x/sys/unix", true},
		{"grove/daemon/api", "golang.org/x/sys/unix", false},
		{"example.org/x", "golang.org/x/sys/unix", true},
	} {
		if why := Forbidden(c.importer, c.imported); (why == "") != c.ok {
			t.Errorf("%s imports %s: %q", c.importer, c.imported, why)
		}
	}
}
