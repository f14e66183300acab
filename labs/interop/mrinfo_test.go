package interop

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/dvmrp/wire"
	"grove/internal/testneed"
	"grove/labs/judge"
)

// mrinfo are the messages that TestMrinfo has on the wire.
var mrinfo = []judge.Message{"ipv4 DVMRP ask-neighbors2", "ipv4 DVMRP neighbors2", "ipv4 DVMRP neighbors"}

// TestMrinfo: grove mrinfo on a host asks a router, and the router beyond it, for their neighbors, and tshark finds no fault
// with questions and answers. The obsolete question of tools before mrouted 3 is answered as well (appendix B of the draft).
func TestMrinfo(t *testing.T) {
	const dir = "testdata/mrinfo"
	l := start(t, topology(t, dir, "interop-mrinfo"), dir, nil)
	tool := testneed.Grove(t)
	l.until(10*time.Second, "r1 and r2 are two-way neighbors", func() string {
		for _, node := range []string{"r1", "r2"} {
			answer := ask(l, l.Client(node).ListDVMRPNeighbors, &grovev1.ListDVMRPNeighborsRequest{})
			if len(answer.Neighbors) != 1 || !answer.Neighbors[0].TwoWay {
				return node
			}
		}
		return ""
	})
	for _, c := range []struct{ router, want string }{
		{"10.1.0.1", "10.0.12.1 -> 10.0.12.2"},
		{"10.1.0.1", "10.1.0.1 -> 0.0.0.0"},
		{"10.0.12.2", "10.0.12.2 -> 10.0.12.1"},
	} {
		var out []byte
		err := l.In("h1", func() (err error) {
			out, err = exec.Command(tool, "mrinfo", "-n", c.router).CombinedOutput()
			return err
		})
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("grove mrinfo %s: %v\n%s\nwant %s", c.router, err, out, c.want)
		}
	}

	question, err := wire.Encode(wire.Header{Version: wire.OurVersion}, &wire.AskNeighbors{})
	if err != nil {
		t.Fatal(err)
	}
	var conn net.PacketConn
	err = l.In("h1", func() (err error) {
		conn, err = net.ListenPacket("ip4:2", "10.1.0.10")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.WriteTo(question, &net.IPAddr{IP: net.IPv4(10, 1, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for b := make([]byte, 1500); ; {
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			t.Fatalf("the obsolete question: %v", err)
		}
		if _, m, err := wire.Parse(b[:n]); err == nil {
			if answer, ok := m.(*wire.Neighbors); ok {
				if len(answer.Interfaces) != 2 {
					t.Errorf("%+v", answer)
				}
				break
			}
		}
	}

	seen := l.finish()
	for _, m := range mrinfo {
		if seen[m] == 0 {
			t.Errorf("%s was not on the wire", m)
		}
	}
}
