package wire_test

import (
	"bytes"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/internal/engine"
	"grove/internal/pim/wire"
	"grove/internal/testneed"
)

// captured is a PIM packet of a capture file.
type captured struct {
	file     string
	number   int // of the frame, from 1, as tshark counts
	src, dst netip.Addr
	payload  []byte
}

// readCaptures returns the PIM packets of all capture files in a folder.
func readCaptures(t testing.TB, folder string) []captured {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.pcap"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s: %v", folder, err)
	}
	var all []captured
	for _, name := range files {
		all = append(all, readCapture(t, name)...)
	}
	return all
}

func readCapture(t testing.TB, name string) []captured {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var all []captured
	for number := 1; ; number++ {
		data, _, err := r.ReadPacketData()
		if err != nil { // the end; in a malformed capture perhaps an early one
			return all
		}
		if c, ok := pimOf(gopacket.NewPacket(data, r.LinkType(), gopacket.Default)); ok {
			c.file, c.number = filepath.Base(name), number
			all = append(all, c)
		}
	}
}

// seedCaptures returns the packets with which fuzzing starts, real and malformed; none where ../shared is absent.
func seedCaptures(f *testing.F) []captured {
	shared := os.Getenv("GROVE_SHARED")
	if shared == "" {
		shared = "../../../../shared"
	}
	var all []captured
	for _, folder := range []string{"pim", "pim-malformed"} {
		if dir := filepath.Join(shared, "captures", folder); exists(dir) {
			all = append(all, readCaptures(f, dir)...)
		}
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func pimOf(p gopacket.Packet) (c captured, ok bool) {
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.IPv4:
			c.src, _ = netip.AddrFromSlice(l.SrcIP.To4())
			c.dst, _ = netip.AddrFromSlice(l.DstIP.To4())
			c.payload = l.Payload
			return c, l.Protocol == layers.IPProtocol(engine.ProtoPIM)
		case *layers.IPv6:
			c.src, _ = netip.AddrFromSlice(l.SrcIP)
			c.dst, _ = netip.AddrFromSlice(l.DstIP)
			c.payload = l.Payload
			return c, l.NextHeader == layers.IPProtocol(engine.ProtoPIM)
		}
	}
	return c, false
}

// refused says why Parse refuses packets of the real captures, by frame number, where the type is not the reason. The
// assortment was made to test a filter, so it has every type with every destination; tshark, too, finds the three
// checksums bad. Its two Grafts are a header and nothing else.
var refused = map[string]map[int]error{"pim-packet-assortment.pcap": {
	35: wire.ErrDestination, 37: wire.ErrDestination, 46: wire.ErrDestination, 48: wire.ErrDestination,
	61: wire.ErrDestination, 62: wire.ErrDestination, 83: wire.ErrDestination, 84: wire.ErrDestination,
	124: wire.ErrDestination, 125: wire.ErrDestination, 162: wire.ErrDestination, 164: wire.ErrDestination,
	173: wire.ErrDestination, 175: wire.ErrDestination, 188: wire.ErrDestination, 189: wire.ErrDestination,
	201: wire.ErrDestination, 202: wire.ErrDestination, 242: wire.ErrDestination, 243: wire.ErrDestination,
	17: wire.ErrDestination, 19: wire.ErrDestination, 145: wire.ErrDestination, 147: wire.ErrDestination,
	110: wire.ErrTruncated, 228: wire.ErrTruncated,
	151: wire.ErrChecksum, 196: wire.ErrChecksum, 206: wire.ErrChecksum,
}}

// padded are two Candidate-RP-Advertisements of the assortment that count two groups and have more behind them.
var padded = map[string]map[int]bool{"pim-packet-assortment.pcap": {18: true, 146: true}}

// TestCaptures reads what other routers sent, and writes it again to the same bytes.
func TestCaptures(t *testing.T) {
	read := map[wire.Type]int{}
	unsupported := map[wire.Type]int{}
	for _, c := range readCaptures(t, filepath.Join(testneed.Shared(t), "captures", "pim")) {
		m, err := wire.Parse(c.payload, c.src, c.dst)
		var te *wire.TypeError
		switch want := refused[c.file][c.number]; {
		case want != nil:
			if !errors.Is(err, want) {
				t.Errorf("%s, frame %d: %v, want %v", c.file, c.number, err, want)
			}
		case errors.As(err, &te):
			unsupported[te.Type]++
		case err != nil:
			t.Errorf("%s, frame %d: %v", c.file, c.number, err)
		default:
			read[m.Type()]++
			b, err := wire.Encode(m, c.src, c.dst)
			if err != nil {
				t.Errorf("%s, frame %d: %v", c.file, c.number, err)
				continue
			}
			if m.Type() == wire.TypeRegister {
				// Some senders' checksum covers all of the message: then only the rest can be equal.
				b[2], b[3], c.payload[2], c.payload[3] = 0, 0, 0, 0
			}
			if padded[c.file][c.number] {
				c.payload = c.payload[:len(b)]
				b[2], b[3], c.payload[2], c.payload[3] = 0, 0, 0, 0
			}
			if !bytes.Equal(b, c.payload) {
				t.Errorf("%s, frame %d: written again\n%x, was\n%x", c.file, c.number, b, c.payload)
			}
		}
	}
	// MANIFEST.tsv counts the packets of each type; those in refused are not read.
	if want := (map[wire.Type]int{
		wire.TypeHello: 101, wire.TypeRegister: 43, wire.TypeRegisterStop: 16, wire.TypeJoinPrune: 42, wire.TypeAssert: 14,
		wire.TypeBootstrap: 26, wire.TypeCandidateRP: 24,
	}); !maps.Equal(read, want) {
		t.Errorf("read %v, want %v", read, want)
	}
	if want := (map[wire.Type]int{
		wire.TypeDFElection: 42,
	}); !maps.Equal(unsupported, want) {
		t.Errorf("unsupported: %v, want %v", unsupported, want)
	}
}

// TestMalformedCaptures: what made other programs crash is refused, with its checksum repaired, too.
func TestMalformedCaptures(t *testing.T) {
	for _, c := range readCaptures(t, filepath.Join(testneed.Shared(t), "captures", "pim-malformed")) {
		if m, err := wire.Parse(c.payload, c.src, c.dst); err == nil {
			t.Errorf("%s, frame %d: accepted as %+v", c.file, c.number, m)
		}
		setChecksum(c.payload, c.src, c.dst)
		stable(t, c.payload, c.src, c.dst)
	}
}
