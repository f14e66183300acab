package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
)

// space is a network namespace that we made.
type space struct {
	name   string
	handle vns.NsHandle
	links  *netlink.Handle
}

// onThread runs f on an operating system thread of its own, which ends with f: f may change the thread's namespace.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// newSpace makes a named network namespace with its loopback interface up.
func newSpace(name string) (*space, error) {
	s := &space{name: name}
	err := onThread(func() (err error) {
		s.handle, err = vns.NewNamed(name)
		return err
	})
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("network namespace %s exists: another run of this lab? `grove lab down` removes it", name)
	}
	if err != nil {
		return nil, fmt.Errorf("make network namespace %s: %w (this needs root)", name, err)
	}
	if s.links, err = netlink.NewHandleAt(s.handle); err == nil {
		var lo netlink.Link
		if lo, err = s.links.LinkByName("lo"); err == nil {
			err = s.links.LinkSetUp(lo)
		}
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	return s, nil
}

// do runs f in the namespace. Sockets and processes that f makes belong to it.
func (s *space) do(f func() error) error {
	return onThread(func() error {
		if err := vns.Set(s.handle); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", s.name, err)
		}
		return f()
	})
}

// sysctl writes net.* settings of the namespace.
func (s *space) sysctl(settings map[string]string) error {
	return s.do(func() error {
		for key, value := range settings {
			path := filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
			if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
				return fmt.Errorf("%s: sysctl %s=%s: %w", s.name, key, value, err)
			}
		}
		return nil
	})
}

// cable connects an interface of s with one of peer. Both ends stay down: groved sets up what its configuration names.
func (s *space) cable(ifc string, peer *space, peerIfc string) error {
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: ifc},
		PeerName:      peerIfc,
		PeerNamespace: netlink.NsFd(int(peer.handle)),
	}
	if err := s.links.LinkAdd(veth); err != nil {
		return fmt.Errorf("cable %s:%s - %s:%s: %w", s.name, ifc, peer.name, peerIfc, err)
	}
	return nil
}

// bridgeName is the bridge in the namespace of a LAN.
const bridgeName = "lan"

// bridge makes the namespace a LAN.
func (s *space) bridge(snooping bool) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	if err := s.links.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
		return fmt.Errorf("%s: make a bridge: %w", s.name, err)
	}
	return s.setLink(bridgeName, true)
}

// addPort makes an interface a port of the bridge.
func (s *space) addPort(ifc string) error {
	port, err := s.links.LinkByName(ifc)
	if err == nil {
		var lan netlink.Link
		if lan, err = s.links.LinkByName(bridgeName); err == nil {
			err = s.links.LinkSetMaster(port, lan)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: port %s: %w", s.name, ifc, err)
	}
	return s.setLink(ifc, true)
}

// setLink sets an interface up or down.
func (s *space) setLink(ifc string, up bool) error {
	link, err := s.links.LinkByName(ifc)
	if err != nil {
		return fmt.Errorf("%s: interface %s: %w", s.name, ifc, err)
	}
	if up {
		return s.links.LinkSetUp(link)
	}
	return s.links.LinkSetDown(link)
}

// close deletes the namespace. Its veth pairs go with it.
func (s *space) close() error {
	if s.links != nil {
		s.links.Close()
	}
	return errors.Join(s.handle.Close(), vns.DeleteNamed(s.name))
}
