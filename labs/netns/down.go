package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	vns "github.com/vishvananda/netns"
)

// Down removes what a run of the lab left that was killed or kept: its groveds, namespaces and files. It returns the
// names of the namespaces that it removed.
func Down(lab, runDir string) ([]string, error) {
	if runDir == "" {
		runDir = "/run/grove/lab"
	}
	spaces, err := filepath.Glob("/run/netns/" + spaceName(lab, "*"))
	if err != nil {
		return nil, err
	}
	var names []string
	var errs []error
	for _, path := range spaces {
		name := filepath.Base(path)
		errs = append(errs, endProcesses(name), vns.DeleteNamed(name))
		names = append(names, name)
	}
	errs = append(errs, os.RemoveAll(filepath.Join(runDir, lab)))
	return names, errors.Join(errs...)
}

// endProcesses kills the groveds in a namespace, and no other process: a shell in there is its user's.
func endProcesses(name string) error {
	ns, err := vns.GetFromName(name)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	defer ns.Close()
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, proc := range procs {
		comm, err := os.ReadFile(filepath.Join(proc, "comm"))
		if err != nil || strings.TrimSpace(string(comm)) != "groved" {
			continue
		}
		its, err := vns.GetFromPath(filepath.Join(proc, "ns/net"))
		if err != nil {
			continue // it has ended
		}
		same := its.Equal(ns)
		its.Close()
		if pid, err := strconv.Atoi(filepath.Base(proc)); same && err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return nil
}
