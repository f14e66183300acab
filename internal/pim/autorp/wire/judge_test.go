package wire_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/internal/ip"
	"grove/internal/pim/autorp/wire"
	"grove/internal/testneed"
)

// everything lists the messages that tshark judges: the golden ones, and the fullest.
func everything() []wire.Message {
	var list []wire.Message
	for _, g := range goldens {
		list = append(list, g.msg)
	}
	full := wire.RP{Address: addr("10.255.0.1"), Version: wire.PIMv2}
	for g := addr("239.0.0.0"); len(full.Groups) < 300; g = g.Next() {
		full.Groups = append(full.Groups, wire.Group{Prefix: netip.PrefixFrom(g, 32), Negative: len(full.Groups)%3 == 0})
	}
	for _, m := range wire.Pack(wire.Announcement, time.Minute, []wire.RP{full}) {
		list = append(list, *m)
	}
	return list
}

// fields are what tshark says of each message.
var fields = []string{
	"auto_rp.version", "auto_rp.type", "auto_rp.rp_count", "auto_rp.holdtime", "auto_rp.rp_addr", "auto_rp.pim_ver",
	"auto_rp.group_num", "auto_rp.prefix_sign", "auto_rp.mask_len", "auto_rp.group_prefix",
	"auto_rp.trailing_junk", "udp.checksum.status", "_ws.malformed", "_ws.expert.severity",
}

// expected is what it has to say.
func expected(m *wire.Message) string {
	var rps, versions, counts, signs, lens, prefixes []string
	for _, rp := range m.RPs {
		rps = append(rps, rp.Address.String())
		versions = append(versions, fmt.Sprint(uint8(rp.Version)))
		counts = append(counts, fmt.Sprint(len(rp.Groups)))
		for _, g := range rp.Groups {
			sign := "0"
			if g.Negative {
				sign = "1"
			}
			signs = append(signs, sign)
			lens = append(lens, fmt.Sprint(g.Prefix.Bits()))
			prefixes = append(prefixes, g.Prefix.Addr().String())
		}
	}
	const version, good = "1", "1"
	words := []string{version, fmt.Sprint(uint8(m.Type)), fmt.Sprint(len(m.RPs)), fmt.Sprint(m.Holdtime.Seconds())}
	for _, list := range [][]string{rps, versions, counts, signs, lens, prefixes} {
		words = append(words, strings.Join(list, ","))
	}
	return strings.Join(append(words, "", good, "", ""), "\t")
}

// TestJudge: tshark reads in what we write what we meant, field by field, finds nothing malformed, and the checksums good.
func TestJudge(t *testing.T) {
	tshark := testneed.Tool(t, "tshark")
	list := everything()
	name := filepath.Join(t.TempDir(), "autorp.pcap")
	writeCapture(t, name, list)
	args := []string{"-r", name, "-o", "udp.check_checksum:TRUE", "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command(tshark, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != len(list) {
		t.Fatalf("tshark sees %d packets of %d:\n%s", len(lines), len(list), out)
	}
	for i, line := range lines {
		if want := expected(&list[i]); line != want {
			t.Errorf("tshark of %+v says\n%q, want\n%q", list[i], line, want)
		}
	}
}

// writeCapture writes a capture file of raw IP packets.
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
	for i := range list {
		data, err := list[i].Append(nil)
		if err != nil {
			t.Fatalf("%+v: %v", list[i], err)
		}
		to := wire.AnnounceGroup
		if list[i].Type == wire.Discovery {
			to = wire.DiscoveryGroup
		}
		packet := ip.UDP(netip.AddrPortFrom(addr("10.255.0.1"), wire.Port), netip.AddrPortFrom(to, wire.Port), 31, data)
		b := packet.Append(nil)
		info := gopacket.CaptureInfo{Timestamp: time.Unix(0, 0), CaptureLength: len(b), Length: len(b)}
		if err := w.WritePacket(info, b); err != nil {
			t.Fatal(err)
		}
	}
}
