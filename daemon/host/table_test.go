package host

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"grove/daemon/nstest"
	"grove/internal/engine"
)

// mfcctl is struct mfcctl, for a second socket that deletes behind our back.
type mfcctl struct {
	origin, group         [4]byte
	parent                uint16
	ttls                  [32]uint8
	packets, bytes, wrong uint32
	expire                int32
}

// deleteRow deletes a row of the IPv4 table as another process with CAP_NET_ADMIN may.
func deleteRow(t *testing.T, s *nstest.Space, source, group string) {
	t.Helper()
	var fd int
	var err error
	s.Do(func() { fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_IGMP) })
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	c := mfcctl{origin: ipOf(source).As4(), group: ipOf(group).As4()}
	const delMFC = 205 // MRT_DEL_MFC
	if _, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_IP, delMFC,
		uintptr(unsafe.Pointer(&c)), unsafe.Sizeof(c), 0); errno != 0 {
		t.Fatalf("delete (%s,%s): %v", source, group, errno)
	}
}

// rows returns the kernel's IPv4 table, one row a line.
func rows(s *nstest.Space) string { return s.Run("cat", "/proc/net/ip_mr_cache") }

// hex4 is an address as /proc writes it.
func hex4(a string) string {
	b := ipOf(a).As4()
	return fmt.Sprintf("%02X%02X%02X%02X", b[3], b[2], b[1], b[0])
}

// An entry that someone deletes behind our back is back within 5 seconds, and no packet of its flow is lost meanwhile
// that the shared tree can carry.
func TestDeletedRowComesBack(t *testing.T) {
	t.Parallel()
	l := newLine(t, engine.IPv4)
	l.settled(t)
	numbers := l.join(t)
	l.joined(t)
	l.send(t, 0, 20, time.Millisecond)
	var got []uint32
	for len(got) < 20 {
		select {
		case n := <-numbers:
			got = append(got, n)
		case <-time.After(5 * time.Second):
			l.state(t)
			t.Fatalf("a packet is missing: %v", got)
		}
	}
	there := func() bool { return strings.Contains(rows(l.r3), hex4(l.group)+" "+hex4(l.src)) }
	eventually(t, 5*time.Second, "the entry", there)
	deleteRow(t, l.r3, l.src, l.group)
	if there() {
		t.Fatal("it was not deleted")
	}
	start := time.Now()
	eventually(t, 5*time.Second, "the entry again", there)
	t.Logf("back after %v", time.Since(start).Round(time.Millisecond))
}

// Packets to thousands of groups that nobody wants come in as fast as a host can send. A member that joins meanwhile is
// heard at once, and hellos are not lost.
func TestUpcallStormStarvesNobody(t *testing.T) {
	t.Parallel()
	source, r1, member := nstest.New(t, "source"), nstest.New(t, "r1"), nstest.New(t, "member")
	nstest.Veth(source, "eth1", r1, "eth1")
	nstest.Veth(member, "eth1", r1, "eth2")
	source.Addr("eth1", "10.0.1.9/24")
	member.Addr("eth1", "10.0.2.9/24")
	h := run(t, r1, `
pim: {ipv4: {rp: [{address: 10.0.1.1}]}}
interfaces:
  eth1: {addresses: [10.0.1.1/24], igmp: {}, pim: {}}
  eth2: {addresses: [10.0.2.1/24], igmp: {}, pim: {}}
`)
	var from, to *net.UDPConn
	var err, err2 error
	source.Do(func() {
		if from, err = net.ListenUDP("udp4", nil); err == nil {
			p := ipv4.NewPacketConn(from)
			p.SetMulticastInterface(&net.Interface{Index: source.Index("eth1")})
			err = p.SetMulticastTTL(8)
		}
	})
	member.Do(func() { to, err2 = net.ListenUDP("udp4", nil) })
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	defer from.Close()
	defer to.Close()
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				stopped <- n
				return
			default:
			}
			g := netip.AddrFrom4([4]byte{239, 1, byte(n >> 8), byte(n)})
			from.WriteTo(make([]byte, 1000), &net.UDPAddr{IP: g.AsSlice(), Port: port})
			n++
		}
	}()
	storm := time.Now()
	igmp := engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv4}
	eventually(t, 5*time.Second, "a storm", func() bool {
		c := ask[map[string]uint64](t, h, engine.MachineID{Protocol: Self}, "counts")
		return c["received whole-packet upcalls"]+c["received upcalls"] > 2000
	})
	join := time.Now()
	err = ipv4.NewPacketConn(to).JoinGroup(&net.Interface{Index: member.Index("eth1")}, &net.UDPAddr{IP: net.IPv4(239, 200, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the membership", func() bool {
		return strings.Contains(fmt.Sprint(ask[any](t, h, igmp, "groups")), "239.200.0.1")
	})
	heard := time.Since(join)
	close(stop)
	n := <-stopped
	counts := ask[map[string]uint64](t, h, engine.MachineID{Protocol: Self}, "counts")
	t.Logf("%d packets in %v; the membership was heard after %v; %v", n, time.Since(storm).Round(time.Millisecond),
		heard.Round(time.Millisecond), counts)
	if counts["dropped control packets: queue full"] != 0 {
		t.Error("protocol packets were dropped")
	}
}
