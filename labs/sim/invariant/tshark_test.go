package invariant

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"grove/internal/engine"
	"grove/internal/testneed"
)

// TestTshark: whatever the routers and hosts of a random network say, in either family, tshark finds nothing malformed
// in it and no checksum wrong.
func TestTshark(t *testing.T) {
	tshark := testneed.Tool(t, "tshark")
	for _, test := range []struct {
		protocol engine.Protocol
		seed     uint64
		kinds    []string // protocol, type of PIM, code of DVMRP
	}{
		{engine.PIMSM, 5, []string{"PIMv2\t0\t", "PIMv2\t1\t", "PIMv2\t2\t", "PIMv2\t3\t"}},
		{engine.PIMSM, 7, []string{"PIMv2\t0\t", "PIMv2\t1\t", "PIMv2\t2\t", "PIMv2\t3\t"}},
		{engine.PIMDM, 59, []string{"PIMv2\t0\t", "PIMv2\t3\t", "PIMv2\t5\t", "PIMv2\t6\t", "PIMv2\t7\t", "PIMv2\t9\t"}},
		{engine.DVMRP, 5, []string{"DVMRP\t\t0x01", "DVMRP\t\t0x02", "DVMRP\t\t0x07", "DVMRP\t\t0x08", "DVMRP\t\t0x09"}},
	} {
		t.Run(fmt.Sprint(test.protocol, test.seed), func(t *testing.T) {
			n, err := Random(test.seed, Options{Protocol: test.protocol})
			if err != nil {
				t.Fatal(err)
			}
			judge(t, tshark, n, test.kinds)
		})
	}
}

// judge has tshark look at what is said in a network; kinds of messages must be among it.
func judge(t *testing.T, tshark string, n *Network, kinds []string) {
	name := filepath.Join(t.TempDir(), "net.pcapng")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.NewCapture(file, n.Links()...)
	if err != nil {
		t.Fatal(err)
	}
	n.Run(start)
	n.churn()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	show := func(more ...string) []string {
		args := append([]string{"-r", name, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"}, more...)
		out, err := exec.Command(tshark, args...).Output()
		if err != nil {
			t.Fatalf("tshark: %v", err)
		}
		return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
	}
	bad := show("-Y", "_ws.malformed || _ws.expert.severity == error || pim.cksum.status == Bad || igmp.checksum.status == Bad || "+
		"dvmrp.checksum.status == Bad || icmpv6.checksum.status == Bad || udp.checksum.status == Bad || ip.checksum.status == Bad")
	if len(bad) > 0 {
		t.Errorf("%d packets are faulty, the first: %s", len(bad), bad[0])
	}
	seen := make(map[string]bool)
	for _, line := range show("-T", "fields", "-e", "_ws.col.Protocol", "-e", "pim.type", "-e", "dvmrp.v3.code") {
		seen[line] = true
	}
	group := "IGMPv3\t\t"
	if n.Family == engine.IPv6 {
		group = "ICMPv6\t\t"
	}
	for _, kind := range append(kinds, group, "UDP\t\t") {
		if !seen[kind] {
			t.Errorf("the capture has no %q, but %v", kind, seen)
		}
	}
}
