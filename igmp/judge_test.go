package igmp_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/testneed"
)

// TestJudge: tshark reads every packet that routers and hosts send in the scenarios, finds nothing malformed and every
// checksum good. Every message of every version has to be among them, in both families.
func TestJudge(t *testing.T) {
	tshark := testneed.Tool(t, "tshark")
	name := filepath.Join(t.TempDir(), "sent.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	packets := 0
	eachScenario(t, func(t *testing.T, file string, family engine.Family) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, sent := runScenario(t, family, string(text))
		for _, s := range sent {
			p := ip.Packet{Src: s.Src, Dst: s.Dst, Proto: s.Proto, TTL: s.TTL, TOS: s.TOS, RouterAlert: s.RouterAlert, Payload: s.Payload}
			b := p.Append(nil)
			if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(0, 0), CaptureLength: len(b), Length: len(b)}, b); err != nil {
				t.Fatal(err)
			}
			packets++
		}
	})
	out, err := exec.Command(tshark, "-r", name, "-o", "ip.check_checksum:TRUE", "-T", "fields",
		"-e", "igmp.type", "-e", "igmp.version", "-e", "icmpv6.type", "-e", "igmp.checksum.status", "-e", "icmpv6.checksum.status",
		"-e", "_ws.malformed", "-e", "_ws.expert.severity", "-e", "ip.ttl", "-e", "ipv6.hlim", "-e", "icmpv6.mld.flag.qrv").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != packets {
		t.Fatalf("tshark sees %d packets of %d", len(lines), packets)
	}
	missing := map[string]bool{
		"IGMP 0x11 1": true, "IGMP 0x11 2": true, "IGMP 0x11 3": true, "IGMP 0x12 1": true, "IGMP 0x16 2": true, "IGMP 0x17 2": true, "IGMP 0x22 3": true,
		"MLD 130 long": true, "MLD 130 short": true, "MLD 131 short": true, "MLD 132 short": true, "MLD 143 short": true,
	}
	for n, line := range lines {
		const severityError = "8388608"
		v := strings.Split(line, "\t")
		kind := fmt.Sprintf("IGMP %s %s", v[0], v[1])
		if v[0] == "" {
			length := "short"
			if v[9] != "" {
				length = "long"
			}
			kind = fmt.Sprintf("MLD %s %s", v[2], length)
		}
		delete(missing, kind)
		if v[3]+v[4] != "1" || v[5] != "" || strings.Contains(v[6], severityError) || v[7]+v[8] != "1" {
			t.Errorf("packet %d (types, checksums, malformed, severity, TTL): %q", n, line)
		}
	}
	if len(missing) > 0 {
		t.Errorf("never sent: %v", missing)
	}
}
