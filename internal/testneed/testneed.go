// Package testneed lets a test say what it needs of the machine. Without it the test is skipped with the reason; in CI
// (CI=true), where everything is installed, a skip would hide a failure, so it fails.
package testneed

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Root needs the rights to make network namespaces and multicast routing tables.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "needs root: network namespaces and multicast routing sockets")
	}
}

// Tool needs a program in the path and returns where it is.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "needs %s: install it, or run make test-tools", name)
	}
	return path
}

// Built needs a program that a script of ours built or unpacked below .tools/bin, and returns where it is.
func Built(t testing.TB, name, how string) string {
	t.Helper()
	path := filepath.Join(Module(t), ".tools", "bin", name)
	if _, err := os.Stat(path); err != nil {
		missing(t, "needs %s: %s", name, how)
	}
	return path
}

// Peer needs another router, which tools/install-test-needs unpacks below .tools/peers, and returns its folder.
func Peer(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(Module(t), ".tools", "peers", name)
	if _, err := os.Stat(filepath.Join(path, ".complete")); err != nil {
		missing(t, "needs %s: run tools/install-test-needs", name)
	}
	return path
}

// Groved builds the router and returns where it is, until the test ends.
func Groved(t testing.TB) string {
	t.Helper()
	return program(t, "groved")
}

// Grove builds the person's tool and returns where it is, until the test ends.
func Grove(t testing.TB) string {
	t.Helper()
	return program(t, "grove")
}

func program(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-o", path, "grove/cmd/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

// Module returns the root of the module that the test is in.
func Module(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// Shared needs the folder with captures, vectors and standards that lies beside a developer's checkout, and returns
// its path. GROVE_SHARED names it if it is elsewhere. Users do not have it, so the tests that read it
// have their own data as well.
func Shared(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("GROVE_SHARED"); dir != "" {
		return dir
	}
	shared := filepath.Join(filepath.Dir(Module(t)), "shared")
	if _, err := os.Stat(shared); err != nil {
		missing(t, "needs the captures of ../shared beside the checkout (or GROVE_SHARED)")
	}
	return shared
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
