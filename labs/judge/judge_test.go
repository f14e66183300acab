package judge

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/internal/engine"
	"grove/internal/ip"
	pimwire "grove/internal/pim/wire"
	"grove/internal/testneed"
)

// TestJudge: what is right is named and passes; a wrong octet anywhere in a message, and one that is cut short, do not.
func TestJudge(t *testing.T) {
	testneed.Tool(t, "tshark")
	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("224.0.0.13")
	hello, err := pimwire.Encode(&pimwire.Hello{Options: []pimwire.Option{pimwire.Holdtime(105 * time.Second), pimwire.GenerationID(7)}}, src, dst)
	if err != nil {
		t.Fatal(err)
	}
	packets := [][]byte{(&ip.Packet{Src: src, Dst: dst, Proto: engine.ProtoPIM, TTL: 1, Payload: hello}).Append(nil)}
	for i := range hello {
		bad := bytes.Clone(hello)
		bad[i] ^= 1
		packets = append(packets, (&ip.Packet{Src: src, Dst: dst, Proto: engine.ProtoPIM, TTL: 1, Payload: bad}).Append(nil))
	}
	packets = append(packets, (&ip.Packet{Src: src, Dst: dst, Proto: engine.ProtoPIM, TTL: 1, Payload: hello[:len(hello)-1]}).Append(nil))

	name := filepath.Join(t.TempDir(), "judge.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(0, 0), CaptureLength: len(p), Length: len(p)}
		if err := w.WritePacket(info, p); err != nil {
			t.Fatal(err)
		}
	}
	seen, faults := read(t, name)
	if seen["ipv4 Hello"] == 0 || len(faults) != len(packets)-1 {
		t.Errorf("%d faults in %d packets, of which one is right; seen %v", len(faults), len(packets), seen)
	}
	for _, f := range faults {
		if f.source != src.String() || strings.Contains(f.text, "(frame 1)") {
			t.Error(f.text)
		}
	}
}
