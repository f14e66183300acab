package wire_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/igmp/wire"
	"grove/internal/engine"
	"grove/internal/testneed"
)

// captured is an IGMP or ICMPv6 message of a capture.
type captured struct {
	ends    wire.Ends
	payload []byte
}

// linkIPv6 is LINKTYPE_IPV6: frames that are IPv6 packets.
const linkIPv6 = 229

// readCapture returns the IGMP and MLD messages of a capture file, pcap or pcapng, whatever lies around them.
func readCapture(t testing.TB, file string) []captured {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var src interface {
		ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
		LinkType() layers.LinkType
	}
	if bytes.HasPrefix(data, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		src, err = pcapgo.NewNgReader(bytes.NewReader(data), pcapgo.DefaultNgReaderOptions)
	} else {
		src, err = pcapgo.NewReader(bytes.NewReader(data))
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var out []captured
	for {
		frame, _, err := src.ReadPacketData()
		if err != nil { // the end, or, in the malformed ones, what the reader holds to be no capture
			return out
		}
		var first gopacket.Decoder = src.LinkType()
		if src.LinkType() == linkIPv6 {
			first = layers.LayerTypeIPv6
		}
		for _, l := range gopacket.NewPacket(frame, first, gopacket.DecodeOptions{NoCopy: true}).Layers() {
			switch l := l.(type) {
			case *layers.IPv4:
				if l.Protocol == layers.IPProtocolIGMP && l.FragOffset == 0 {
					out = append(out, captured{endsOf(l.SrcIP, l.DstIP), l.Payload})
				}
			case *layers.IPv6:
				rest := binary.BigEndian.Uint16(l.Contents[4:])
				if p := icmpv6(uint8(l.NextHeader), frameAfter(frame, l.Contents, int(rest))); len(p) > 0 {
					out = append(out, captured{endsOf(l.SrcIP, l.DstIP), p})
				}
			}
		}
	}
}

func endsOf(src, dst []byte) wire.Ends {
	s, _ := netip.AddrFromSlice(src)
	d, _ := netip.AddrFromSlice(dst)
	return wire.Ends{Src: s, Dst: d}
}

// frameAfter returns the n octets of frame that follow header.
func frameAfter(frame, header []byte, n int) []byte {
	at := bytes.Index(frame, header)
	if at < 0 || at+len(header)+n > len(frame) {
		return nil
	}
	return frame[at+len(header):][:n]
}

// icmpv6 walks the extension headers to an MLD message.
func icmpv6(next uint8, b []byte) []byte {
	for next == 0 || next == 60 {
		if len(b) < 8 || len(b) < 8+int(b[1])*8 {
			return nil
		}
		next, b = b[0], b[8+int(b[1])*8:]
	}
	if next != engine.ProtoICMPv6 || len(b) == 0 || (b[0] < 130 || b[0] > 132) && b[0] != 143 {
		return nil
	}
	return b
}

// label names a message as the manifest of the captures does, which has it from tshark.
func label(m wire.Message, mld bool) string {
	switch m := m.(type) {
	case wire.Query:
		if mld {
			return "MLD Query"
		}
		return fmt.Sprintf("IGMPv%d Query", m.Version)
	case wire.OlderReport:
		if mld {
			return "MLD v1Report"
		}
		return fmt.Sprintf("IGMPv%d v%dReport", m.Version, m.Version)
	case wire.Leave:
		if mld {
			return "MLD Done"
		}
		return "IGMPv2 Leave"
	}
	if mld {
		return "MLD v2Report"
	}
	return "IGMPv3 v3Report"
}

// refusedLabel names a message that was refused by its type alone.
func refusedLabel(kind uint8) string {
	switch kind {
	case 0x16:
		return "IGMPv2 v2Report"
	case 143:
		return "MLD v2Report"
	case 0xfc, 0xfd, 0xfe, 0xff:
		return "RGMP"
	}
	return fmt.Sprintf("type %d", kind)
}

// TestCaptures parses every capture of IGMP and MLD and counts the messages of each type as tshark did. What is refused
// must be what is wrong there; what is parsed must survive being appended and parsed again.
func TestCaptures(t *testing.T) {
	shared := testneed.Shared(t)
	f, err := os.Open(filepath.Join(shared, "captures", "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// What is refused, by file: told by tshark as well (bad checksum, malformed, other protocols in IGMP).
	refused := map[string]map[error]int{
		"igmp-malformed/igmp-bad-checksum.pcap": {wire.ErrChecksum: 1},
		"igmp/IGMP_dataset.pcap":                {wire.ErrType: 19}, // RGMP
		"mld/icmp6-mldv2.pcap":                  {wire.ErrTruncated: 2},
	}
	files := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		col := strings.Split(s.Text(), "\t")
		dir, _, _ := strings.Cut(col[0], "/")
		if dir != "igmp" && dir != "mld" && dir != "igmp-malformed" {
			continue
		}
		files++
		t.Run(col[0], func(t *testing.T) {
			want := map[string]int{}
			for _, part := range strings.Split(col[4], "; ") {
				name, n, _ := strings.Cut(part, "=")
				var count int
				fmt.Sscan(n, &count)
				want[name] = count
			}
			got, errs := map[string]int{}, map[error]int{}
			for i, p := range readCapture(t, filepath.Join(shared, "captures", col[0])) {
				mld := p.ends.Dst.Is6()
				m, err := wire.Parse(p.payload, p.ends)
				if err == nil {
					got[label(m, mld)]++
					again(t, m, p.ends)
					continue
				}
				t.Logf("packet %d: %v", i, err)
				got[refusedLabel(p.payload[0])]++
				for _, e := range []error{wire.ErrTruncated, wire.ErrChecksum, wire.ErrType, wire.ErrLength} {
					if errors.Is(err, e) {
						errs[e]++
					}
				}
			}
			if !cmp.Equal(got, want) {
				t.Errorf("messages %v, tshark counts %v", got, want)
			}
			if wantErrs := refused[col[0]]; len(errs)+len(wantErrs) > 0 && !cmp.Equal(errs, wantErrs, cmp.Comparer(func(a, b error) bool { return a == b })) {
				t.Errorf("refused %v, want %v", errs, wantErrs)
			}
		})
	}
	if files < 30 {
		t.Errorf("only %d captures", files)
	}
}

// again appends a parsed message and parses it again: the same.
func again(t testing.TB, m wire.Message, ends wire.Ends) {
	t.Helper()
	b, err := m.Append(nil, ends)
	if err != nil {
		t.Fatalf("%+v: %v", m, err)
	}
	m2, err := wire.Parse(b, ends)
	if err != nil || !equal(m, m2) {
		t.Fatalf("%+v became %+v (%v)", m, m2, err)
	}
	b2, err := m2.Append(nil, ends)
	if err != nil || !bytes.Equal(b, b2) {
		t.Fatalf("%x became %x (%v)", b, b2, err)
	}
}

// FuzzParse: parse, append, parse again: the same. The seeds are the golden messages and every message of the
// captures, the malformed ones and those of other protocols included.
func FuzzParse(f *testing.F) {
	for _, list := range [][]golden{goldenQueries, goldenOlderReports, goldenLeaves, goldenReports} {
		for _, g := range list {
			f.Add(g.octets(f), g.mld, true)
		}
	}
	for _, dir := range []string{"igmp", "mld", "igmp-malformed", "pim-malformed", "dvmrp", "mtrace"} {
		files, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "captures", dir, "*"))
		for _, file := range files {
			for _, p := range readCapture(f, file) {
				f.Add(p.payload, p.ends.Dst.Is6(), false)
				f.Add(p.payload, p.ends.Dst.Is6(), true)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, mld, fix bool) {
		e := ends(mld)
		if fix && len(b) >= 4 {
			b = bytes.Clone(b)
			fixChecksum(b, e)
		}
		m, err := wire.Parse(b, e)
		if (m == nil) == (err == nil) {
			t.Fatalf("message %v and error %v", m, err)
		}
		if err == nil {
			again(t, m, e)
		}
	})
}
