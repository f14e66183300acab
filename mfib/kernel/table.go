package kernel

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// Errors that callers tell apart. Each error of this package wraps one of these or the kernel's errno.
var (
	ErrOwned   = errors.New("another multicast routing daemon owns the table")
	ErrVIF     = errors.New("no such VIF")
	ErrIfindex = errors.New("IPv6 multicast routing needs an interface index of at most 65535")
	ErrEmpty   = errors.New("no message waits")
)

// Table is one multicast routing table of the kernel, owned by this process. Read may run beside all other methods,
// which are for one goroutine at a time.
type Table struct {
	family engine.Family
	table  uint32 // 0: the default table

	mroute *os.File // the multicast routing socket; for IPv4 the IGMP socket as well
	fd     int      // of mroute
	inject int      // raw socket for Inject
	link   *nlSocket
	direct bool // rows are written by setsockopt: we have no CAP_NET_ADMIN

	vifs [engine.MaxVIFs]vif
	buf  []byte // of Read
	oob  []byte
}

type vif struct {
	exists   bool
	register bool
	ifindex  int
	name     string // of the interface
}

// Open takes a multicast routing table of the calling thread's network namespace: table 0 is the default table. rcvbuf
// is the size in bytes of the receive buffer for upcalls (and IGMP): it bounds the flows whose first packet waits to
// be answered.
func Open(family engine.Family, table uint32, rcvbuf int) (*Table, error) {
	t := &Table{family: family, table: table, fd: -1, inject: -1, buf: make([]byte, 1<<16), oob: make([]byte, 256)}
	if err := t.open(rcvbuf); err != nil {
		t.Close()
		return nil, fmt.Errorf("kernel: %v multicast routing table %d: %w", family, table, err)
	}
	return t, nil
}

func (t *Table) open(rcvbuf int) error {
	domain, proto := unix.AF_INET, unix.IPPROTO_IGMP
	if t.family == engine.IPv6 {
		domain, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return fmt.Errorf("raw socket: %w", err)
	}
	// A file, so that a Read that waits ends at a deadline or at Close.
	t.fd, t.mroute = fd, os.NewFile(uintptr(fd), "mroute")
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, rcvbuf); err != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, rcvbuf); err != nil {
			return fmt.Errorf("receive buffer of %d bytes: %w", rcvbuf, err)
		}
	}
	if err := t.listen(); err != nil {
		return err
	}
	if t.table != 0 {
		if err := setopt(fd, t.level(), mrtTable, &t.table); err != nil {
			return fmt.Errorf("MRT_TABLE: %w", err)
		}
	}
	one := int32(1)
	if err := setopt(fd, t.level(), mrtInit, &one); errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("MRT_INIT: %w (%w)", ErrOwned, err)
	} else if err != nil {
		return fmt.Errorf("MRT_INIT: %w", err)
	}
	pim := int32(upcallWrongVIFWhole)
	if err := setopt(fd, t.level(), mrtPIM, &pim); err != nil {
		return fmt.Errorf("MRT_PIM: %w", err)
	}
	if err := t.openInject(); err != nil {
		return fmt.Errorf("socket to inject packets: %w", err)
	}
	if t.link, err = openNetlink(); err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	return nil
}

// listen sets what Read needs: for IPv4 the interface of IGMP packets; for IPv6 nothing but upcalls, as MLD has its
// own socket.
func (t *Table) listen() error {
	if t.family == engine.IPv4 {
		if err := unix.SetsockoptInt(t.fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
			return fmt.Errorf("IP_PKTINFO: %w", err)
		}
		return nil
	}
	var block unix.ICMPv6Filter
	for i := range block.Data {
		block.Data[i] = math.MaxUint32
	}
	if err := unix.SetsockoptICMPv6Filter(t.fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &block); err != nil {
		return fmt.Errorf("ICMPV6_FILTER: %w", err)
	}
	return nil
}

// Close gives the table up: the kernel empties it.
func (t *Table) Close() error {
	for v := range t.vifs {
		t.delRules(t.vifs[v].name)
	}
	var errs []error
	if t.mroute != nil {
		errs = append(errs, t.mroute.Close()) // and t.mroute stays, for a Read that waits
	}
	if t.inject >= 0 {
		errs = append(errs, unix.Close(t.inject))
	}
	if t.link != nil {
		errs = append(errs, t.link.close())
	}
	t.fd, t.inject, t.link = -1, -1, nil
	return errors.Join(errs...)
}

// SetReadDeadline makes a waiting Read return os.ErrDeadlineExceeded at the given time.
func (t *Table) SetReadDeadline(at time.Time) error { return t.mroute.SetReadDeadline(at) }

// SetVIF adds or deletes a VIF; ifindex is the kernel's index of its interface, ignored for the register VIF.
func (t *Table) SetVIF(s engine.SetVIF, ifindex int) error {
	if s.VIF >= engine.MaxVIFs {
		return fmt.Errorf("kernel: vif %d: %w", s.VIF, ErrVIF)
	}
	if s.Register {
		ifindex = 0
	}
	if s.Gone {
		return t.delVIF(s.VIF)
	}
	if err := t.addVIF(s, ifindex); err != nil {
		return fmt.Errorf("kernel: add vif %d (ifindex %d): %w", s.VIF, ifindex, err)
	}
	return nil
}

func (t *Table) addVIF(s engine.SetVIF, ifindex int) error {
	var err error
	if t.family == engine.IPv4 {
		c := vifctl{vif: uint16(s.VIF), flags: vifUseIfindex, threshold: 1, ifindex: int32(ifindex)}
		if s.Register {
			c.flags = vifRegister
		}
		err = setopt(t.fd, t.level(), mrtAddVIF, &c)
	} else {
		if ifindex > math.MaxUint16 {
			return ErrIfindex
		}
		c := mif6ctl{mif: uint16(s.VIF), threshold: 1, ifindex: uint16(ifindex)}
		if s.Register {
			c.flags = mifRegister
		}
		err = setopt(t.fd, t.level(), mrtAddVIF, &c)
	}
	if err != nil {
		return err
	}
	if s.Register {
		// The kernel made a device for it: netlink names a row's parent by its index.
		if ifindex, err = t.registerIfindex(); err != nil {
			return err
		}
	}
	name, err := t.nameOf(ifindex)
	if err == nil {
		err = t.addRules(name)
	}
	t.vifs[s.VIF] = vif{exists: true, register: s.Register, ifindex: ifindex, name: name}
	if err != nil {
		return errors.Join(err, t.delVIF(s.VIF))
	}
	return nil
}

func (t *Table) delVIF(v engine.VIF) error {
	old := t.vifs[v]
	t.vifs[v] = vif{}
	t.delRules(old.name)
	var err error
	if t.family == engine.IPv4 {
		err = setopt(t.fd, t.level(), mrtDelVIF, &vifctl{vif: uint16(v)})
	} else {
		number := uint16(v)
		err = setopt(t.fd, t.level(), mrtDelVIF, &number)
	}
	// When a device goes the kernel deletes its VIF itself.
	if errors.Is(err, unix.EADDRNOTAVAIL) && old.exists {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kernel: delete vif %d: %w", v, err)
	}
	return nil
}

// registerIfindex returns the index of the device behind the register VIF.
func (t *Table) registerIfindex() (int, error) {
	name := "pimreg"
	if t.family == engine.IPv6 {
		name = "pim6reg"
	}
	if t.other() {
		name = fmt.Sprintf("%s%d", name, t.table)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, fmt.Errorf("register device %s: %w", name, err)
	}
	// Asked of our own socket, as the thread may be in another namespace by now.
	if err := unix.IoctlIfreq(t.fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0, fmt.Errorf("register device %s: %w", name, err)
	}
	return int(request.Uint32()), nil
}

// tableID is the kernel's number of the table.
func (t *Table) tableID() uint32 {
	switch {
	case t.table != 0:
		return t.table
	case t.family == engine.IPv4:
		return defaultTable
	}
	return defaultTable6
}

// other says that the table is not the default one.
func (t *Table) other() bool {
	if t.family == engine.IPv4 {
		return t.tableID() != defaultTable
	}
	return t.tableID() != defaultTable6
}

func (t *Table) level() int {
	if t.family == engine.IPv4 {
		return unix.IPPROTO_IP
	}
	return unix.IPPROTO_IPV6
}

// unspecified returns a, or the family's unspecified address for a *.
func (t *Table) unspecified(a netip.Addr) netip.Addr {
	switch {
	case a.IsValid():
		return a
	case t.family == engine.IPv4:
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
