package host

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"grove/daemon/nstest"
	"grove/dvmrp/wire"
	"grove/internal/engine"
)

// What is addressed to the router itself is heard once as well, though it comes to two sockets.
func TestUnicastIGMPIsHeardOnce(t *testing.T) {
	t.Parallel()
	r1, asker := nstest.New(t, "r1"), nstest.New(t, "asker")
	nstest.Veth(r1, "eth1", asker, "eth1")
	asker.Addr("eth1", "10.0.2.9/24")
	run(t, r1, "interfaces: {eth1: {addresses: [10.0.2.1/24, 10.0.2.2/24], dvmrp: {}, igmp: {}}}").
		transition("a route of its own", func(_ string, tr engine.Transition) bool { return tr.Entity == "route 10.0.2.0/24" })
	var c *net.IPConn
	var err error
	asker.Do(func() { c, err = net.ListenIP("ip4:2", nil) })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	question, err := wire.Encode(wire.Header{Version: wire.OurVersion}, &wire.AskNeighbors2{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// A second answer of the first address would come before the one of the second.
	for _, asked := range []string{"10.0.2.1", "10.0.2.2"} {
		if _, err := c.WriteToIP(question, &net.IPAddr{IP: net.ParseIP(asked)}); err != nil {
			t.Fatal(err)
		}
		for b := make([]byte, 1500); ; {
			n, from, err := c.ReadFromIP(b)
			if err != nil {
				t.Fatal(err)
			}
			if _, msg, err := wire.Parse(b[:n]); err != nil || msg.Code() != wire.CodeNeighbors2 {
				continue
			}
			if from.IP.String() != asked {
				t.Fatalf("%s answers, and %s was asked", from.IP, asked)
			}
			break
		}
	}
}

// A Linux host reports in each version of IGMP, and leaves; each message is heard once, wherever it is addressed to and
// with or without Router Alert.
func TestReportsOfALinuxHost(t *testing.T) {
	for version := 1; version <= 3; version++ {
		t.Run(fmt.Sprintf("IGMPv%d", version), func(t *testing.T) {
			t.Parallel()
			r1, member := nstest.New(t, "r1"), nstest.New(t, "member")
			nstest.Veth(r1, "eth1", member, "eth1")
			member.Addr("eth1", "10.0.2.9/24")
			member.Sysctl("ipv4/conf/eth1/force_igmp_version", fmt.Sprint(version))
			h := run(t, r1, "time-scale: 10\ninterfaces: {eth1: {addresses: [10.0.2.1/24], igmp: {}}}")
			h.transition("querier", func(_ string, tr engine.Transition) bool { return tr.Entity == "querier" })
			has := func() bool {
				return strings.Contains(fmt.Sprint(ask[any](t, h, engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv4}, "groups")), "239.200.0.1")
			}
			var c *net.UDPConn
			var err error
			member.Do(func() { c, err = net.ListenUDP("udp4", nil) })
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			ifc, group := &net.Interface{Index: member.Index("eth1")}, &net.UDPAddr{IP: net.IPv4(239, 200, 0, 1)}
			if err := ipv4.NewPacketConn(c).JoinGroup(ifc, group); err != nil {
				t.Fatal(err)
			}
			eventually(t, 5*time.Second, "the membership", has)
			if version == 1 {
				return // it leaves in silence
			}
			if err := ipv4.NewPacketConn(c).LeaveGroup(ifc, group); err != nil {
				t.Fatal(err)
			}
			eventually(t, 5*time.Second, "its end", func() bool { return !has() })
		})
	}
}
