package cases

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
)

// Address is an IP address; the packages that run cases need no other name for it.
type Address = netip.Addr

const (
	packetLen = 100 // of every packet, in both families, so that both count the same bytes
	port      = 5000
)

// RouterAddr is this router's address on interface i.
func RouterAddr(f engine.Family, i int) netip.Addr {
	if f == engine.IPv4 {
		return netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
	}
	return netip.MustParseAddr(fmt.Sprintf("fd00:%d::1", i))
}

// runner runs one case.
type runner struct {
	t      *testing.T
	family engine.Family
	bench  Bench
	sent   [][]byte           // packets by number, from 1
	ownAt  map[int]bool       // numbers of packets that this router sent itself
	vifs   map[int]engine.VIF // by interface: for printing what leaves
	names  map[netip.Addr]string
}

// runCase runs a case and returns its text as it should have been.
func runCase(t *testing.T, family engine.Family, text string, open func(t *testing.T) Bench) string {
	r := &runner{
		t: t, family: family, bench: open(t), sent: [][]byte{nil},
		ownAt: map[int]bool{}, vifs: map[int]engine.VIF{}, names: map[netip.Addr]string{},
	}
	defer r.bench.Close()
	var out strings.Builder
	for _, line := range strings.SplitAfter(text, "\n") {
		if strings.HasPrefix(line, "  ") {
			continue // what followed when it was written
		}
		out.WriteString(line)
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "==") {
			continue
		}
		r.command(&out, fields)
		if t.Failed() {
			t.Fatalf("at %q", line)
		}
	}
	return out.String()
}

func (r *runner) command(out *strings.Builder, f []string) {
	switch f[0] {
	case "vif":
		s := engine.SetVIF{VIF: engine.VIF(r.number(f, 1)), If: engine.IfID(r.number(f, 1))}
		if len(f) == 4 {
			s.If = engine.IfID(r.number(f, 3))
		}
		r.setVIF(out, s)
	case "register":
		r.setVIF(out, engine.SetVIF{VIF: engine.VIF(r.number(f, 1)), Register: true})
	case "novif":
		r.setVIF(out, engine.SetVIF{VIF: engine.VIF(r.number(f, 1)), Gone: true})
	case "unplug":
		r.bench.Unplug(r.number(f, 1))
	case "row", "norow":
		if failed := r.bench.SetRows([]engine.Row{r.row(f)}); len(failed) > 0 {
			out.WriteString("  refused\n")
		}
	case "packet":
		n := 1
		if len(f) == 7 {
			n = r.atoi(strings.TrimPrefix(f[6], "x"))
		}
		for range n {
			p := r.packet(f)
			r.bench.Arrive(r.number(f, 1), p.Append(nil))
		}
	case "register-in":
		p := r.packet(f)
		r.bench.Arrive(r.number(f, 1), r.encapsulate(r.number(f, 1), &p, f[6:]))
	case "own":
		r.sent = append(r.sent, nil)
		n := len(r.sent) - 1
		r.ownAt[n] = true
		r.bench.Originate(r.number(f, 1), r.addr(f[2]), uint8(r.number(f, 4)), r.data(n, r.dataLen()))
	case "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			r.t.Fatal(err)
		}
		r.bench.Wait(d)
	case "counters":
		for _, c := range r.bench.ReadCounters([]engine.Key{r.key(f)}) {
			if c.Missing {
				out.WriteString("  missing\n")
			} else {
				fmt.Fprintf(out, "  %d packets, %d bytes, %d wrong\n", c.Packets, c.Bytes, c.WrongIf)
			}
		}
	default:
		r.t.Fatalf("no command %q", f[0])
	}
	r.show(out)
}

func (r *runner) setVIF(out *strings.Builder, s engine.SetVIF) {
	if err := r.bench.SetVIF(s); err != nil {
		out.WriteString("  refused\n")
		return
	}
	for i, v := range r.vifs {
		if v == s.VIF {
			delete(r.vifs, i)
		}
	}
	if !s.Gone && !s.Register {
		r.vifs[int(s.If)] = s.VIF
	}
}

// row reads "S G from N to N:T ...", or "S G" for a row that goes.
func (r *runner) row(f []string) engine.Row {
	row := engine.Row{Key: r.key(f), Gone: f[0] == "norow"}
	if row.Gone {
		return row
	}
	row.Parent = engine.VIF(r.number(f, 4))
	for _, out := range f[min(len(f), 6):] {
		vif, ttl, found := strings.Cut(out, ":")
		if !found {
			ttl = "1"
		}
		row.TTL[r.atoi(vif)] = uint8(r.atoi(ttl))
	}
	return row
}

func (r *runner) packet(f []string) ip.Packet {
	r.sent = append(r.sent, nil)
	n := len(r.sent) - 1
	source, group := r.addr(f[2]), r.addr(f[3])
	p := ip.UDP(netip.AddrPortFrom(source, port), netip.AddrPortFrom(group, port), uint8(r.number(f, 5)), r.data(n, r.dataLen()))
	if r.family == engine.IPv4 {
		p.ID = uint16(n)
	}
	r.sent[n] = p.Append(nil)
	return p
}

// encapsulate puts a packet into a Register that arrives on interface i (RFC 7761, section 4.9.3).
func (r *runner) encapsulate(i int, inner *ip.Packet, how []string) []byte {
	message := make([]byte, 8)
	message[0] = 0x21
	if slices.Contains(how, "null") {
		message[4] |= 0x40
	}
	outer := ip.Packet{Src: r.addr("s9"), Dst: RouterAddr(r.family, i), Proto: engine.ProtoPIM, TTL: 64}
	var sum uint32
	if r.family == engine.IPv6 {
		sum = ip.PseudoSum(outer.Src, outer.Dst, engine.ProtoPIM, 8)
	}
	binary.BigEndian.PutUint16(message[2:], ^ip.Fold(ip.Sum(sum, message)))
	if slices.Contains(how, "damaged") {
		message[7]++
	}
	outer.Payload = inner.Append(message)
	return outer.Append(nil)
}

// dataLen is the length of the UDP data in a packet of packetLen.
func (r *runner) dataLen() int {
	if r.family == engine.IPv4 {
		return packetLen - 28
	}
	return packetLen - 48
}

// data makes the UDP data of packet number n.
func (r *runner) data(n, length int) []byte {
	b := make([]byte, length)
	copy(b, "case")
	binary.BigEndian.PutUint16(b[4:], uint16(n))
	return b
}

// show prints what happened: packets by VIF, then upcalls in order.
func (r *runner) show(out *strings.Builder) {
	seen := r.bench.Seen()
	slices.SortStableFunc(seen, func(a, b Seen) int { return r.order(a) - r.order(b) })
	for _, s := range seen {
		if s.If != 0 {
			fmt.Fprintf(out, "  vif %s: %s\n", r.vifName(s.If), r.describe(s.Packet, 1))
			continue
		}
		u := s.Upcall
		fmt.Fprintf(out, "  %s vif %d %s %s", kinds[u.Kind], u.VIF, r.name(u.Src), r.name(u.Dst))
		if u.Packet != nil {
			fmt.Fprintf(out, ": %s", r.describe(u.Packet, 0))
		}
		out.WriteString("\n")
	}
}

var kinds = map[engine.UpcallKind]string{
	engine.NoCache: "NOCACHE", engine.WrongVIF: "WRONGVIF", engine.WholePkt: "WHOLEPKT", engine.WrongVIFWhole: "WRVIFWHOLE",
}

// order puts packets before upcalls, by VIF; an interface that has none comes last of them.
func (r *runner) order(s Seen) int {
	if s.If == 0 {
		return 2 * engine.MaxVIFs
	}
	if v, ok := r.vifs[s.If]; ok {
		return int(v)
	}
	return engine.MaxVIFs
}

func (r *runner) vifName(i int) string {
	if v, ok := r.vifs[i]; ok {
		return strconv.Itoa(int(v))
	}
	return fmt.Sprintf("none (interface %d)", i)
}

// describe names a packet by its number, and compares it with what was sent, whose TTL was higher by hops.
func (r *runner) describe(packet []byte, hops uint8) string {
	p, err := ip.Parse(packet)
	if err != nil || len(p.Payload) < 14 {
		return fmt.Sprintf("%x (%v)", packet, err)
	}
	n := int(binary.BigEndian.Uint16(p.Payload[12:]))
	text := fmt.Sprintf("#%d ttl %d", n, p.TTL)
	if r.ownAt[n] {
		return text
	}
	want := slices.Clone(r.sent[n])
	ip.SetTTL(want, want[ttlAt(r.family)]-hops)
	if !slices.Equal(want, packet) {
		text += fmt.Sprintf(" altered: %x, not %x", packet, want)
	}
	return text
}

func ttlAt(f engine.Family) int {
	if f == engine.IPv4 {
		return 8
	}
	return 7
}

func (r *runner) key(f []string) engine.Key {
	return engine.Key{Source: r.addr(f[1]), Group: r.addr(f[2])}
}

// addr returns the address that a name of a script stands for; * is none.
func (r *runner) addr(name string) netip.Addr {
	kind := strings.TrimRight(name, "0123456789")
	n, _ := strconv.Atoi(name[len(kind):])
	var four, six string
	switch kind {
	case "*":
		return netip.Addr{}
	case "s":
		four, six = "10.9.0.%d", "fd00:9::%d"
	case "r":
		return RouterAddr(r.family, n)
	case "g":
		four, six = "239.1.1.%d", "ff0e::1:%d"
	case "site":
		four, six = "239.255.0.%d", "ff05::%d"
	case "link":
		four, six = "224.0.0.%d", "ff02::%d"
	default:
		r.t.Fatalf("no address %q", name)
	}
	a := netip.MustParseAddr(fmt.Sprintf(six, n))
	if r.family == engine.IPv4 {
		a = netip.MustParseAddr(fmt.Sprintf(four, n))
	}
	r.names[a] = name
	return a
}

func (r *runner) name(a netip.Addr) string {
	for i := range Interfaces {
		if a == RouterAddr(r.family, i+1) {
			return fmt.Sprintf("r%d", i+1)
		}
	}
	if n, ok := r.names[a]; ok {
		return n
	}
	return a.String()
}

func (r *runner) number(f []string, i int) int {
	if i >= len(f) {
		r.t.Fatalf("%q: too short", strings.Join(f, " "))
	}
	return r.atoi(f[i])
}

func (r *runner) atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}
