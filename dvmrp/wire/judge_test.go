package wire_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/dvmrp/wire"
	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/testneed"
)

// sent are the goldens that we send: no Probe of a version that has no Generation ID, which the judges know nothing of.
func sent() []golden {
	return slices.DeleteFunc(slices.Clone(goldens), func(g golden) bool {
		p, ok := g.msg.(*wire.Probe)
		return ok && !p.HasGenerationID
	})
}

// capture writes the messages that we send as raw IP packets.
func capture(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "dvmrp.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for _, g := range sent() {
		b, err := wire.Encode(g.header, g.msg)
		if err != nil {
			t.Fatal(err)
		}
		p := ip.Packet{
			Src: addr("10.0.12.1"), Dst: wire.AllDVMRPRouters, Proto: engine.ProtoIGMP, TTL: 1, TOS: 0xc0, Payload: b,
		}
		data := p.Append(nil)
		if err := w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(data), Length: len(data)}, data); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

// TestTshark: tshark finds nothing malformed in what we write, every checksum good, and the codes, metrics and lifetimes
// that we meant.
func TestTshark(t *testing.T) {
	out, err := exec.Command(testneed.Tool(t, "tshark"), "-r", capture(t), "-o", "ip.check_checksum:TRUE", "-T", "fields",
		"-e", "dvmrp.v3.code", "-e", "dvmrp.checksum.status", "-e", "_ws.malformed", "-e", "dvmrp.metric",
		"-e", "dvmrp.lifetime", "-e", "dvmrp.genid").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, g := range sent() {
		var metrics []string
		lifetime, genID := "", ""
		switch m := g.msg.(type) {
		case *wire.Report:
			for _, rt := range m.Routes {
				metrics = append(metrics, fmt.Sprint(rt.Metric))
			}
		case *wire.Neighbors2:
			for _, f := range m.Interfaces {
				metrics = append(metrics, fmt.Sprint(f.Metric))
			}
		case *wire.Prune:
			lifetime = fmt.Sprint(int(m.Lifetime.Seconds()))
		case *wire.Probe:
			if m.HasGenerationID {
				genID = fmt.Sprint(m.GenerationID)
			}
		}
		want = append(want, strings.Join([]string{
			fmt.Sprintf("0x%02x", uint8(g.msg.Code())), "1", "", strings.Join(metrics, ","), lifetime, genID,
		}, "\t"))
	}
	got := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(got) != len(want) {
		t.Fatalf("tshark sees %d packets of %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: tshark says\n%q, want\n%q", sent()[i].name, got[i], want[i])
		}
	}
}

// TestTcpdump: tcpdump reads the messages as we meant them.
func TestTcpdump(t *testing.T) {
	out, err := exec.Command(testneed.Tool(t, "tcpdump"), "-nvvr", capture(t)).Output()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{
		"igmp dvmrp Probe genid 1705095875 neighbor 10.0.12.2 neighbor 10.0.12.3",
		"igmp dvmrp Report Mask 255.255.255.0 10.1.2.0 metric 1 10.1.3.0 metric 33",
		"Mask 255.0.0.0 0.0.0.0 metric 1 10.0.0.0 metric 32 Mask 255.255.0.0 172.16.0.0 metric 2 172.17.0.0 metric 31",
		"Mask 255.255.255.255 10.0.0.1 metric 3 10.0.0.2 metric 3 Mask 255.255.255.254 10.0.0.4 metric 1",
		"igmp dvmrp Prune src 10.1.0.10 grp 239.1.1.1 timer 2h",
		"igmp dvmrp Graft src 10.1.0.10 grp 239.1.1.1",
		"igmp dvmrp Graft-ACK src 10.1.0.10 grp 239.1.1.1",
		"igmp dvmrp Ask-neighbors2",
		"Neighbors2 (v 3.255): [10.0.12.1 -> 10.0.12.2 (1/1/querier)] [10.0.12.1 -> 10.0.12.3 (1/1/querier)] " +
			"[10.0.23.1 -> 192.0.2.1 (2/32/tunnel/down)]",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("tcpdump does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "bad cksum") || strings.Contains(text, "[|dvmrp]") {
		t.Errorf("tcpdump finds a fault:\n%s", text)
	}
}

// payloads returns the IGMP payloads of the capture files in a folder.
func payloads(t testing.TB, folder string) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.pcap"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s: %v", folder, err)
	}
	var all [][]byte
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := pcapgo.NewReader(f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for {
			data, _, err := r.ReadPacketData()
			if err != nil {
				break
			}
			p := gopacket.NewPacket(data, r.LinkType(), gopacket.Default)
			if l, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok && l.Protocol == layers.IPProtocolIGMP {
				all = append(all, l.Payload)
			}
		}
		f.Close()
	}
	return all
}

// seedCaptures returns the payloads with which fuzzing starts; none where ../shared is absent.
func seedCaptures(f *testing.F) [][]byte {
	shared := os.Getenv("GROVE_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	var all [][]byte
	for _, folder := range []string{"dvmrp", "dvmrp-malformed"} {
		dir := filepath.Join(shared, "captures", folder)
		if _, err := os.Stat(dir); err == nil {
			all = append(all, payloads(f, dir)...)
		}
	}
	return all
}

// TestCaptures reads what other routers sent, and writes it again to the same bytes.
func TestCaptures(t *testing.T) {
	folder := filepath.Join(testneed.Shared(t), "captures")
	var got []string
	for _, b := range payloads(t, filepath.Join(folder, "dvmrp")) {
		h, m, err := wire.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%v %v", m.Code(), h.Version))
		size := 8
		if n, ok := m.(*wire.Neighbors2); ok {
			for _, f := range n.Interfaces {
				size += 8 + 4*len(f.Neighbors)
			}
		}
		again, err := wire.Encode(h, m)
		if err != nil || !slices.Equal(again, b[:size]) {
			t.Errorf("%v: written again\n%x, was\n%x (%v)", m.Code(), again, b, err)
		}
	}
	if want := []string{"ask-neighbors2 12.4", "neighbors2 12.4"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	for _, b := range payloads(t, filepath.Join(folder, "dvmrp-malformed")) {
		if _, m, err := wire.Parse(b); err == nil {
			t.Errorf("a malformed message is read as %+v", m)
		}
	}
}
