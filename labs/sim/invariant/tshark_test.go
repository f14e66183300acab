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
	for _, seed := range []uint64{5, 7} {
		n, err := Random(seed, Options{})
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), fmt.Sprintf("seed%d.pcapng", seed))
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
			"icmpv6.checksum.status == Bad || udp.checksum.status == Bad || ip.checksum.status == Bad")
		if len(bad) > 0 {
			t.Errorf("seed %d: %d packets are faulty, the first: %s", seed, len(bad), bad[0])
		}
		seen := make(map[string]bool)
		for _, line := range show("-T", "fields", "-e", "_ws.col.Protocol", "-e", "pim.type") {
			seen[line] = true
		}
		group := "IGMPv3\t"
		if n.Family == engine.IPv6 {
			group = "ICMPv6\t"
		}
		for _, kind := range []string{"PIMv2\t0", "PIMv2\t1", "PIMv2\t2", "PIMv2\t3", group, "UDP\t"} {
			if !seen[kind] {
				t.Errorf("seed %d: the capture has no %s, but %v", seed, kind, seen)
			}
		}
	}
}
