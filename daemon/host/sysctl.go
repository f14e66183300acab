package host

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"grove/internal/engine"
)

// sysctls are below this folder; which namespace's is decided by the thread that opens them.
const sysctls = "/proc/sys/net"

// forwarding sees to it that the kernel forwards packets of the families that protocols run for.
func (h *Host) forwarding() {
	err := h.space.run(func() error {
		families := make(map[engine.Family]bool)
		for id := range h.machines {
			families[id.Family] = true
		}
		if families[engine.IPv4] {
			h.sysctl("ipv4/ip_forward", 1)
			h.strictForOthers()
		}
		if families[engine.IPv6] {
			h.sysctl("ipv6/conf/all/forwarding", 1)
		}
		return nil
	})
	if err != nil {
		h.warn(0, "%v", err)
	}
}

// strictForOthers turns rp_filter off for "all", because the kernel takes the greater of that and of the interface's
// own. The interfaces keep what they had by it; filter turns it off for those that we route on.
func (h *Host) strictForOthers() {
	all, err := readSysctl("ipv4/conf/all/rp_filter")
	if err != nil || all == 0 {
		return
	}
	entries, err := os.ReadDir(filepath.Join(sysctls, "ipv4/conf"))
	if err != nil {
		return
	}
	for _, e := range entries {
		name := filepath.Join("ipv4/conf", e.Name(), "rp_filter")
		if own, err := readSysctl(name); e.Name() != "all" && err == nil && own < all {
			h.sysctl(name, all)
		}
	}
	h.sysctl("ipv4/conf/all/rp_filter", 0)
}

// filter turns rp_filter off for an interface that multicast is routed on: it drops a source whose unicast route
// points elsewhere, and the multicast table makes that check itself, by the MRIB.
func (h *Host) filter(i *engine.Interface) {
	c := h.keeper.configured[i.Name]
	if !c.Enabled(engine.IPv4) {
		return
	}
	err := h.space.run(func() error {
		h.sysctl(filepath.Join("ipv4/conf", i.Name, "rp_filter"), 0)
		return nil
	})
	if err != nil {
		h.warn(i.ID, "%v", err)
	}
}

// sysctl sets a value, or says how to.
func (h *Host) sysctl(name string, value int) {
	old, err := readSysctl(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && old == value {
		return
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(sysctls, name), []byte(strconv.Itoa(value)), 0)
	}
	dotted := "net." + string(bytes.ReplaceAll([]byte(name), []byte("/"), []byte(".")))
	if err != nil {
		h.log.Warnf("cannot set %s=%d (it is %d): set it by sysctl -w, or in a container's `sysctls:`: %v", dotted, value, old, err)
		return
	}
	h.log.Infof("sysctl %s=%d (was %d)", dotted, value, old)
}

func readSysctl(name string) (int, error) {
	b, err := os.ReadFile(filepath.Join(sysctls, name))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(bytes.TrimSpace(b)))
}
