package archtest

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/go/packages"
)

// load returns every package of the module, and the fixtures, with syntax and types. What they import of others comes
// from export data, which is much faster than reading it.
var load = sync.OnceValues(func() (map[string]*packages.Package, error) {
	patterns := []string{"./..."}
	fixtures, err := filepath.Glob("testdata/*")
	for _, dir := range fixtures { // "..." does not look into testdata
		patterns = append(patterns, "./internal/archtest/"+dir)
	}
	if err != nil {
		return nil, err
	}
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
		Dir:  "../..",
	}, patterns...)
	byPath := map[string]*packages.Package{}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			err = errors.Join(err, e)
		}
		byPath[p.PkgPath] = p
	}
	return byPath, err
})

func all(t *testing.T) map[string]*packages.Package {
	t.Helper()
	pkgs, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

// TestMachines: nothing that a Machine must not have is in a protocol package, nor in what it imports of ours.
func TestMachines(t *testing.T) {
	pkgs := all(t)
	var roots []string
	for path := range pkgs {
		dir, _ := local(path)
		switch {
		case within(dir, "mfib/kernel"), within(dir, "mfib/cases"): // the kernel's side
		case floor(top(dir)) == 1, dir == "daemon/router", dir == "internal/engine":
			roots = append(roots, path)
		}
	}
	if len(roots) < 6 {
		t.Fatalf("only %q to read", roots)
	}
	for _, f := range Check(pkgs, roots) {
		t.Error(f)
	}
}

// TestBans: each ban is found where a fixture breaks it, also behind an import, and clean code is clean.
func TestBans(t *testing.T) {
	pkgs := all(t)
	fixtures, err := filepath.Glob("testdata/*")
	if err != nil || len(fixtures) < 10 {
		t.Fatalf("fixtures: %v, %v", fixtures, err)
	}
	for _, dir := range fixtures {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			path := module + "/internal/archtest/" + dir
			if pkgs[path] == nil {
				t.Fatalf("%s was not loaded", path)
			}
			found := Check(pkgs, []string{path})
			if clean := name == "clean"; clean != (len(found) == 0) {
				t.Errorf("found %q", found)
			}
		})
	}
}

// TestEveryBan: no ban is without a fixture that breaks it.
func TestEveryBan(t *testing.T) {
	pkgs := all(t)
	found := strings.Join(Check(pkgs, []string{
		module + "/internal/archtest/testdata/imports",
		module + "/internal/archtest/testdata/functions",
	}), "\n")
	for path := range bannedImports {
		if !strings.Contains(found, "import of "+path+": ") {
			t.Errorf("import of %s is not found", path)
		}
	}
	for path, names := range bannedFuncs {
		if names == nil {
			names = []string{"IntN"}
		}
		for _, name := range names {
			if !strings.Contains(found, path+"."+name+": ") {
				t.Errorf("%s.%s is not found", path, name)
			}
		}
	}
	if !strings.Contains(found, "github.com/sirupsen/logrus: not among") {
		t.Error("a library that is not allowed is not found")
	}
}

// TestFloors: no package of the module imports upwards or sideways.
func TestFloors(t *testing.T) {
	for _, p := range all(t) {
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
