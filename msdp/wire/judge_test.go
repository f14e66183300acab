package wire_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/internal/testneed"
	"grove/msdp/wire"
)

// everything lists the messages that tshark judges: the golden ones that a router sends, and the largest.
func everything() []wire.Message {
	var list []wire.Message
	for _, g := range goldens {
		switch g.msg.(type) {
		case *wire.Unknown, *wire.Notification: // never sent
		default:
			if g.name != "source-active without an entry" {
				list = append(list, g.msg)
			}
		}
	}
	full := &wire.SourceActive{RP: addr("10.255.0.1")}
	source := addr("10.1.0.1")
	for range wire.MaxEntries {
		full.Entries = append(full.Entries, wire.Entry{Source: source, Group: addr("224.2.0.1"), PrefixLen: 32})
		source = source.Next()
	}
	return append(list, full)
}

// TestJudge: tshark finds nothing malformed in what we write, and in each message the type, the length, the RP and as many
// entries as we meant.
func TestJudge(t *testing.T) {
	tshark := testneed.Tool(t, "tshark")
	list := everything()
	name := filepath.Join(t.TempDir(), "msdp.pcap")
	writeCapture(t, name, list)
	cmd := exec.Command(tshark, "-r", name, "-T", "fields", "-e", "frame.number", "-e", "msdp.type", "-e", "msdp.length",
		"-e", "msdp.sa.rp_addr", "-e", "msdp.sa.entry_count", "-e", "msdp.sa.group_addr", "-e", "msdp.sa_req.group_addr",
		"-e", "_ws.malformed", "-e", "_ws.expert.severity")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != len(list) {
		t.Fatalf("tshark sees %d packets of %d:\n%s", len(lines), len(list), out)
	}
	const severityError = "8388608"
	for i, line := range lines {
		m := list[i]
		b, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		f := strings.Split(line, "\t")
		if len(f) != 9 {
			t.Fatalf("tshark says %q", line)
		}
		if f[1] != strconv.Itoa(int(m.Type())) || f[2] != strconv.Itoa(len(b)) || f[7] != "" || strings.Contains(f[8], severityError) {
			t.Errorf("tshark of %v (number, type, length, RP, count, groups, group, malformed, severity): %q", m.Type(), line)
		}
		switch m := m.(type) {
		case *wire.SourceActive:
			if f[3] != m.RP.String() || f[4] != strconv.Itoa(len(m.Entries)) || len(strings.Split(f[5], ",")) != len(m.Entries) {
				t.Errorf("tshark of %v: %q", m.Type(), line)
			}
		case *wire.Request:
			if f[6] != m.Group.String() {
				t.Errorf("tshark of %v: %q", m.Type(), line)
			}
		}
	}
}

// writeCapture writes each message as one TCP segment.
func writeCapture(t *testing.T, name string, list []wire.Message) {
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	seq := uint32(1)
	for _, m := range list {
		payload, err := m.Append(nil)
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		header := &layers.IPv4{
			Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP,
			SrcIP: addr("10.0.12.1").AsSlice(), DstIP: addr("10.0.12.2").AsSlice(),
		}
		tcp := &layers.TCP{SrcPort: 50000, DstPort: wire.Port, Seq: seq, ACK: true, Ack: 1, PSH: true, Window: 65535}
		if err := tcp.SetNetworkLayerForChecksum(header); err != nil {
			t.Fatal(err)
		}
		seq += uint32(len(payload))
		buf := gopacket.NewSerializeBuffer()
		opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
		if err := gopacket.SerializeLayers(buf, opts, header, tcp, gopacket.Payload(payload)); err != nil {
			t.Fatal(err)
		}
		b := buf.Bytes()
		info := gopacket.CaptureInfo{Timestamp: time.Unix(0, 0), CaptureLength: len(b), Length: len(b)}
		if err := w.WritePacket(info, b); err != nil {
			t.Fatal(err)
		}
	}
}
