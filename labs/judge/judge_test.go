package judge

import (
	"bytes"
	"encoding/binary"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	dvmrpwire "grove/dvmrp/wire"
	"grove/internal/engine"
	"grove/internal/ip"
	pimwire "grove/internal/pim/wire"
	msdpwire "grove/msdp/wire"
)

// short is a Prune without its lifetime, for which its header's checksum is right.
type short struct{}

func (short) Code() dvmrpwire.Code { return dvmrpwire.CodePrune }

func (short) Append(b []byte) ([]byte, error) { return append(b, 10, 0, 1, 10, 239, 1, 1, 1), nil }

// TestJudge: what is right is named and passes; a wrong octet anywhere in a message, and one that is cut short, do not.
func TestJudge(t *testing.T) {
	hello, err := pimwire.Encode(&pimwire.Hello{Options: []pimwire.Option{pimwire.Holdtime(105 * time.Second), pimwire.GenerationID(7)}},
		src, netip.MustParseAddr("224.0.0.13"))
	if err != nil {
		t.Fatal(err)
	}
	rp := netip.MustParseAddr("10.0.0.9")
	groups := pimwire.Group{Addr: netip.MustParseAddr("239.0.0.0"), MaskLen: 8}
	bootstrap, err := pimwire.Encode(&pimwire.Bootstrap{FragmentTag: 7, HashMaskLen: 30, Priority: 64, BSR: src, Ranges: []pimwire.RPRange{
		{Group: groups, RPCount: 1, RPs: []pimwire.RPMapping{{RP: rp, Holdtime: 150 * time.Second, Priority: 192}}},
	}}, src, netip.MustParseAddr("224.0.0.13"))
	if err != nil {
		t.Fatal(err)
	}
	adv, err := pimwire.Encode(&pimwire.CandidateRPAdv{Priority: 192, Holdtime: 150 * time.Second, RP: rp, Groups: []pimwire.Group{groups}}, src, rp)
	if err != nil {
		t.Fatal(err)
	}
	pim := func(b []byte) []byte {
		return (&ip.Packet{Src: src, Dst: netip.MustParseAddr("224.0.0.13"), Proto: engine.ProtoPIM, TTL: 1, Payload: b}).Append(nil)
	}
	encode := func(m dvmrpwire.Message) []byte {
		b, err := dvmrpwire.Encode(dvmrpwire.Header{Version: dvmrpwire.OurVersion}, m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	prune := encode(&dvmrpwire.Prune{
		Source: netip.MustParseAddr("10.0.1.10"), Group: netip.MustParseAddr("239.1.1.1"), Lifetime: time.Hour,
	})
	igmp := func(b []byte) []byte {
		return (&ip.Packet{Src: src, Dst: dvmrpwire.AllDVMRPRouters, Proto: engine.ProtoIGMP, TTL: 1, Payload: b}).Append(nil)
	}
	tunnel := func(b []byte) []byte {
		const ipInIP = 4
		return (&ip.Packet{Src: src, Dst: netip.MustParseAddr("10.0.0.2"), Proto: ipInIP, TTL: 64, Payload: b}).Append(nil)
	}
	for _, c := range []struct {
		name    Message
		payload []byte // a wrong octet of it is a fault
		packet  func(payload []byte) []byte
		bad     [][]byte // packets that are faulty in another way
	}{
		{"ipv4 Hello", hello, pim, nil},
		{"ipv4 Bootstrap", bootstrap, pim, nil},
		{"ipv4 CandidateRPAdv", adv, pim, nil},
		{"ipv4 DVMRP prune", prune, igmp, [][]byte{igmp(encode(short{}))}},
		{"ipv4 DVMRP prune in a tunnel", prune, func(b []byte) []byte { return tunnel(igmp(b)) }, [][]byte{tunnel(igmp(encode(short{})))}},
		// Where the packet in the tunnel is the payload, it is its own header that is wrong.
		{"ipv4 DVMRP prune in a tunnel", igmp(prune), tunnel, nil},
	} {
		t.Run(string(c.name), func(t *testing.T) {
			packets := [][]byte{c.packet(c.payload)}
			for i := range c.payload {
				bad := bytes.Clone(c.payload)
				bad[i] ^= 1
				packets = append(packets, c.packet(bad))
			}
			packets = append(packets, c.packet(c.payload[:len(c.payload)-1]))
			packets = append(packets, c.bad...)
			seen, faults := read(t, capture(t, packets))
			if seen[c.name] == 0 || len(faults) != len(packets)-1 {
				t.Errorf("%d faults in %d packets, of which one is right; seen %v", len(faults), len(packets), seen)
			}
			for _, f := range faults {
				if f.source != src.String() || strings.Contains(f.text, "(frame 1)") {
					t.Error(f.text)
				}
			}
		})
	}
}

// TestVersion: what is not of the version that grove speaks is not taken for one of its messages.
func TestVersion(t *testing.T) {
	b, err := dvmrpwire.Encode(dvmrpwire.Header{Version: dvmrpwire.Version{Major: 3, Minor: 8}}, &dvmrpwire.AskNeighbors2{})
	if err != nil {
		t.Fatal(err)
	}
	p := ip.Packet{Src: src, Dst: dvmrpwire.AllDVMRPRouters, Proto: engine.ProtoIGMP, TTL: 1, Payload: b}
	if seen, _ := read(t, capture(t, [][]byte{p.Append(nil)})); seen["ipv4 DVMRP 3.8 ask-neighbors2"] != 1 || len(seen) != 1 {
		t.Errorf("seen %v", seen)
	}
}

// TestMSDP: the messages of a segment are named, and what is cut short, too long, or brings a packet with a wrong checksum is a
// fault.
func TestMSDP(t *testing.T) {
	encode := func(list ...msdpwire.Message) (b []byte) {
		for _, m := range list {
			var err error
			if b, err = m.Append(b); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	source, group := netip.MustParseAddr("198.51.100.10"), netip.MustParseAddr("233.252.0.1")
	packet := (&ip.Packet{Src: source, Dst: group, Proto: 17, TTL: 64, Payload: []byte{0, 9, 0, 9, 0, 8, 0, 0}}).Append(nil)
	sa := func(data []byte, sources ...netip.Addr) *msdpwire.SourceActive {
		m := &msdpwire.SourceActive{RP: src, Data: data}
		for _, s := range sources {
			m.Entries = append(m.Entries, msdpwire.Entry{Source: s, Group: group, PrefixLen: 32})
		}
		return m
	}
	response := sa(nil, source)
	response.Response = true
	alive := &msdpwire.KeepAlive{}
	for _, c := range []struct {
		payload []byte
		want    map[Message]int
	}{
		{encode(alive), map[Message]int{"ipv4 MSDP KeepAlive": 1}},
		{encode(&msdpwire.Request{Group: group}), map[Message]int{"ipv4 MSDP Source-Active Request": 1}},
		{encode(response), map[Message]int{"ipv4 MSDP Source-Active Response": 1}},
		{encode(sa(nil, source, source.Next())), map[Message]int{"ipv4 MSDP Source-Active": 1}},
		{encode(alive, sa(packet, source), alive),
			map[Message]int{"ipv4 MSDP KeepAlive": 2, "ipv4 MSDP Source-Active with a packet": 1}},
	} {
		seen, faults := read(t, capture(t, [][]byte{segment(c.payload)}))
		if !maps.Equal(seen, c.want) || len(faults) > 0 {
			t.Errorf("seen %v, want %v; faults %v", seen, c.want, faults)
		}
	}
	broken := bytes.Clone(packet)
	broken[10] ^= 1
	long := encode(sa(nil, source))
	long[2] += 3 // 3 octets more than the entry needs
	for _, c := range []struct {
		what    string
		payload []byte
	}{
		{"a KeepAlive without its length", encode(alive)[:1]},
		{"a Source-Active that is cut short", encode(sa(nil, source))[:19]},
		{"a Source-Active with less entries than it counts", append([]byte{1, 0, 20, 2}, encode(sa(nil, source))[4:]...)},
		{"a Source-Active with three octets for a packet", append(long, 1, 2, 3)},
		{"a packet with a wrong checksum", encode(sa(broken, source))},
	} {
		if seen, faults := read(t, capture(t, [][]byte{segment(c.payload)})); len(faults) != 1 || faults[0].source != src.String() {
			t.Errorf("%s: faults %v, seen %v", c.what, faults, seen)
		}
	}
}

// segment puts messages into a segment of TCP from MSDP's port, with the checksum left to the kernel.
func segment(payload []byte) []byte {
	tcp := []byte{0, 0, 0xc0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, 0x18, 0xff, 0xff, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(tcp, msdpwire.Port)
	return (&ip.Packet{Src: src, Dst: netip.MustParseAddr("10.0.0.2"), Proto: 6, TTL: 64, Payload: append(tcp, payload...)}).Append(nil)
}

var src = netip.MustParseAddr("10.0.0.1")

// capture writes a capture file of IP packets and returns its name.
func capture(t *testing.T, packets [][]byte) string {
	t.Helper()
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
	return name
}
