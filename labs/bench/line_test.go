package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/internal/engine"
	"grove/internal/testneed"
	"grove/labs/netns"
	"grove/labs/script"
)

// lab is a lab whose routers are under measurement.
type lab struct {
	*netns.Engine
	b       *testing.B
	routers map[string]router
}

// start builds the lab in a folder, with a router of the make on each of the nodes, until the benchmark ends.
func start(b *testing.B, dir string, build func(b *testing.B, program, dir, node string) router, nodes ...string) *lab {
	b.Helper()
	testneed.Root(b)
	program := testneed.Groved(b)
	files := os.DirFS(dir)
	topo, err := script.ReadTopology(files)
	if err != nil {
		b.Fatal(err)
	}
	l := &lab{b: b, routers: map[string]router{}}
	programs := map[string]netns.Program{}
	for _, node := range nodes {
		l.routers[node] = build(b, program, dir, node)
		programs[node] = l.routers[node]
	}
	sweep(b, topo.Name)
	topo.Name = fmt.Sprintf("%s-%d", topo.Name, os.Getpid())
	l.Engine, err = netns.New(b.Context(), files, topo, netns.Options{Groved: program, RunDir: b.TempDir(), Programs: programs})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	})
	return l
}

// sweep removes what runs left that were killed. The process that a lab belongs to is in its name.
func sweep(b *testing.B, lab string) {
	b.Helper()
	spaces, err := filepath.Glob("/run/netns/grove-" + lab + "-*")
	if err != nil {
		b.Fatal(err)
	}
	for _, space := range spaces {
		name, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(space), "grove-"+lab+"-"), "-")
		pid, err := strconv.Atoi(name)
		if err != nil || syscall.Kill(pid, 0) == nil {
			continue
		}
		if _, err := netns.Down(lab+"-"+name, b.TempDir()); err != nil {
			b.Fatal(err)
		}
	}
}

// startLine builds the line of four routers, and returns when packets of the families pass through it.
func startLine(b *testing.B, build func(b *testing.B, program, dir, node string) router, families ...engine.Family) *lab {
	b.Helper()
	l := start(b, "testdata/line", build, "r1", "r2", "r3", "r4")
	for _, f := range families {
		g := group(f, 0, 0)
		l.do(script.Action{Join: &script.Membership{Host: "h2", Group: g}})
		l.do(script.Action{Join: &script.Membership{Host: "h3", Group: g}})
		l.do(script.Action{Send: &script.Send{Host: "h1", Group: g, Rate: 100, TTL: 64, Size: 100}})
		l.until(60*time.Second, "packets pass", func() bool {
			return l.Received("h2", g).Packets > 100 && l.Received("h3", g).Packets > 100
		})
		l.do(script.Action{Stop: &script.Send{Host: "h1", Group: g}})
	}
	return l
}

// group returns the nth group of a set.
func group(f engine.Family, set byte, n int) netip.Addr {
	if f == engine.IPv4 {
		return netip.AddrFrom4([4]byte{239, set, byte(n >> 8), byte(n)})
	}
	return netip.AddrFrom16([16]byte{0xff, 0x0e, 13: set, 14: byte(n >> 8), 15: byte(n)})
}

func (l *lab) do(a script.Action) {
	l.b.Helper()
	if err := l.Do(l.b.Context(), a); err != nil {
		l.b.Fatal(err)
	}
}

// until waits for what must come.
func (l *lab) until(within time.Duration, what string, done func() bool) {
	l.b.Helper()
	if !l.wait(within, done) {
		l.b.Fatalf("not within %v: %s", within, what)
	}
}

// wait waits for what may come.
func (l *lab) wait(within time.Duration, done func() bool) bool {
	l.b.Helper()
	ok, err := l.Wait(l.b.Context(), within, done)
	if err != nil {
		l.b.Fatal(err)
	}
	return ok
}

// rows reads the multicast routing table of a node's kernel, which costs its router nothing. Entries that wait for an
// answer of the router are left out.
func (l *lab) rows(node string, f engine.Family) map[engine.Key]bool {
	l.b.Helper()
	file := "/proc/thread-self/net/ip_mr_cache"
	if f == engine.IPv6 {
		file = "/proc/thread-self/net/ip6_mr_cache"
	}
	var text []byte
	err := l.In(node, func() (err error) {
		text, err = os.ReadFile(file)
		return err
	})
	if err != nil {
		l.b.Fatal(err)
	}
	rows := map[engine.Key]bool{}
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 3 || fields[0] == "Group" || fields[2] == "-1" || fields[2] == "65535" {
			continue
		}
		g, err1 := procAddr(fields[0])
		s, err2 := procAddr(fields[1])
		if err1 != nil || err2 != nil {
			l.b.Fatalf("%s: %s", file, line)
		}
		if s.IsUnspecified() {
			s = netip.Addr{}
		}
		rows[engine.Key{Source: s, Group: g}] = true
	}
	return rows
}

// procAddr reads an address of /proc: IPv4 as a number in the machine's order.
func procAddr(s string) (netip.Addr, error) {
	if len(s) != 8 || strings.Contains(s, ":") {
		return netip.ParseAddr(s)
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("address %q: %w", s, err)
	}
	var a [4]byte
	binary.NativeEndian.PutUint32(a[:], binary.BigEndian.Uint32(b))
	return netip.AddrFrom4(a), nil
}

// joined says whether a router has the (*,G) of a group. The kernel of a grove RP has no row of one that no source sends
// to: grove is asked. FRR writes one.
func (l *lab) joined(node string, g netip.Addr) bool {
	l.b.Helper()
	f := engine.FamilyOf(g)
	r, ok := l.routers[node].(*groved)
	if !ok {
		return l.rows(node, f)[engine.StarG(g)]
	}
	answer, err := r.client.ListMroutes(l.b.Context(), connect.NewRequest(&grovev1.ListMroutesRequest{
		Family: grovev1.Family(f), Group: g.String(), Source: "*",
	}))
	if err != nil {
		l.b.Fatal(err)
	}
	return len(answer.Msg.Mroutes) > 0
}

// groups returns how many IPv4 groups a router has a (*,G) of.
func (l *lab) groups(node string) (n int) {
	l.b.Helper()
	r, ok := l.routers[node].(*groved)
	if !ok {
		for k := range l.rows(node, engine.IPv4) {
			if !k.Source.IsValid() && !k.Group.IsUnspecified() {
				n++
			}
		}
		return n
	}
	answer, err := r.client.ListRPs(l.b.Context(), connect.NewRequest(&grovev1.ListRPsRequest{}))
	if err != nil {
		l.b.Fatal(err)
	}
	for _, rp := range answer.Msg.Rps {
		n += int(rp.ActiveGroups)
	}
	return n
}
