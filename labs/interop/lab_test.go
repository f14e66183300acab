package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/internal/testneed"
	"grove/labs/interop/frr"
	"grove/labs/interop/pimd"
	"grove/labs/judge"
	"grove/labs/netns"
	"grove/labs/script"
)

// lab is a lab in namespaces, some of whose routers may be FRR or pimd.
type lab struct {
	*netns.Engine
	t       *testing.T
	frr     map[string]*frr.Router
	pimd    map[string]*pimd.Router
	capture string          // the file of what was on the links
	foreign map[string]bool // addresses of routers that are not grove
	closed  bool
}

// start builds the lab in a folder. At the end of the test nothing of it is left, and tshark has read what was on its
// links.
func start(t *testing.T, topo *script.Topology, dir string, peers map[string]*frr.Router) *lab {
	t.Helper()
	return startFS(t, topo, os.DirFS(dir), peers)
}

func startFS(t *testing.T, topo *script.Topology, dir fs.FS, peers map[string]*frr.Router) *lab {
	t.Helper()
	programs := map[string]netns.Program{}
	for node, peer := range peers {
		programs[node] = peer
	}
	return startPrograms(t, topo, dir, programs)
}

// startPrograms is startFS, with any programs in place of groved.
func startPrograms(t *testing.T, topo *script.Topology, dir fs.FS, programs map[string]netns.Program) *lab {
	t.Helper()
	testneed.Root(t)
	for _, tool := range []string{"ip", "ethtool", "tshark"} {
		testneed.Tool(t, tool)
	}
	sweep(t, topo)
	capture, err := os.Create(filepath.Join(t.TempDir(), "wire.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, frr: map[string]*frr.Router{}, pimd: map[string]*pimd.Router{}, capture: capture.Name(), foreign: map[string]bool{}}
	for node, program := range programs {
		switch p := program.(type) {
		case *frr.Router:
			l.frr[node] = p
		case *pimd.Router:
			l.pimd[node] = p
		}
		if p, ok := program.(interface{ Addresses() []string }); ok {
			for _, a := range p.Addresses() {
				l.foreign[a] = true
			}
		}
	}
	l.Engine, err = netns.New(t.Context(), dir, topo, netns.Options{
		Groved: testneed.Groved(t), RunDir: t.TempDir(), Programs: programs, Capture: capture,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !l.closed {
			l.finish()
		}
		capture.Close()
	})
	return l
}

// finish ends the lab, has tshark read what was on its links, and returns the control messages that there were. If a
// test does not call it, its end does.
func (l *lab) finish() map[judge.Message]int {
	l.t.Helper()
	l.closed = true
	for _, w := range l.Warnings() {
		l.t.Log("warning: ", w)
	}
	if err := l.Close(); err != nil {
		l.t.Error(err)
	}
	return judge.Judge(l.t, l.capture, l.foreign)
}

// sweep removes what a test left that was killed: processes first, for a namespace lives as long as they do.
func sweep(t *testing.T, topo *script.Topology) {
	t.Helper()
	for _, n := range topo.Nodes {
		out, err := exec.Command("ip", "netns", "pids", "grove-"+topo.Name+"-"+n.Name).Output()
		if err != nil {
			continue // there is none: as it should be
		}
		for _, field := range strings.Fields(string(out)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if _, err := netns.Down(topo.Name, t.TempDir()); err != nil {
		t.Fatal(err)
	}
}

// topology reads the topology in a folder and gives it a name of its own.
func topology(t *testing.T, dir, name string) *script.Topology {
	t.Helper()
	topo, err := script.ReadTopology(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	topo.Name = name
	return topo
}

// until waits until missing has nothing more to say: it tells what is not yet so.
func (l *lab) until(within time.Duration, what string, missing func() string) {
	l.t.Helper()
	var last string
	began := l.Now()
	ok, err := l.Wait(l.t.Context(), within, func() bool {
		last = missing()
		return last == ""
	})
	if err != nil {
		l.t.Fatalf("%s: %v", what, err)
	}
	if !ok {
		l.t.Fatalf("%s: not within %v: %s\n%s", what, within, last, l.states())
	}
	l.t.Logf("%6.3fs %s (after %.3fs)", l.Now().Seconds(), what, (l.Now() - began).Seconds())
}

// do does one action of the lab.
func (l *lab) do(a script.Action) {
	l.t.Helper()
	if err := l.Do(l.t.Context(), a); err != nil {
		l.t.Fatal(err)
	}
}

// offloadOff makes the kernel compute checksums when packets are made: over veth they would stay half done.
func (l *lab) offloadOff(node, ifc string) {
	l.t.Helper()
	err := l.In(node, func() error {
		if out, err := exec.Command("ethtool", "-K", ifc, "tx", "off").CombinedOutput(); err != nil {
			return fmt.Errorf("ethtool: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// states prints all that the routers know, for a failed test.
func (l *lab) states() string {
	var b strings.Builder
	for _, tr := range l.Transitions() {
		fmt.Fprintf(&b, "%7.3fs %s %s %s %s %v %v: %s -> %s (%s)\n", tr.At.Seconds(), tr.Node, tr.Machine, tr.Entity, tr.Interface,
			tr.Neighbor, tr.Key, tr.Old, tr.New, tr.Cause)
	}
	for _, w := range l.Warnings() {
		fmt.Fprintln(&b, w)
	}
	for node, f := range l.frr {
		fmt.Fprintf(&b, "%s is FRR:\n", node)
		for _, command := range []string{"show ip pim neighbor", "show ip mroute", "show ip pim upstream", "show ip pim join", "show ip pim rp-info", "show ip pim bsr", "show ip pim bsrp-info", "show ip msdp peer", "show ip msdp sa"} {
			out, err := f.VTY("pimd", command)
			fmt.Fprintf(&b, "%s# %s\n%s%v\n", node, command, out, err)
		}
		fmt.Fprintln(&b, f.Logs())
	}
	for node, p := range l.pimd {
		dump, err := p.Dump(l.t.Context())
		fmt.Fprintf(&b, "%s is pimd:\n%s%v\n%s\n", node, dump, err, p.Logs())
	}
	return b.String()
}

// ask gives a call of the management API two seconds.
func ask[Q, A any](l *lab, call func(context.Context, *connect.Request[Q]) (*connect.Response[A], error), question *Q) *A {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	response, err := call(ctx, connect.NewRequest(question))
	if err != nil {
		l.t.Fatalf("%T: %v", question, err)
	}
	return response.Msg
}

// unremarkable are counts of what is as it should be. Bootstrap messages leave by all interfaces, that on which they came included
// (RFC 5059, section 3.4): so they come back to who sent them, and to the BSR.
var unremarkable = []string{
	"data packets forwarded by hand", "register-stop for an unknown flow",
	"accepted Bootstrap", "bootstrap message of our own", "bootstrap message not from RPF_neighbor(BSR)",
}

// refused returns what PIM of a groved counts beside what was sent, received and forwarded: what it did not understand
// or want of its neighbors. A Register-Stop of a flow that it does not know is none: it answers a Null-Register that was
// sent just before the flow expired.
func (l *lab) refused(node string) []string {
	l.t.Helper()
	var list []string
	for _, m := range ask(l, l.Client(node).ListCounts, &grovev1.ListCountsRequest{}).Machines {
		for _, c := range m.Counts {
			usual := strings.HasPrefix(c.Name, "sent ") || strings.HasPrefix(c.Name, "received ") ||
				slices.Contains(unremarkable, c.Name)
			if strings.HasPrefix(m.Machine, "pimsm/") && !usual && c.Count > 0 {
				list = append(list, fmt.Sprintf("%s: %s %d", m.Machine, c.Name, c.Count))
			}
		}
	}
	return list
}

// prefix parses what is known to be a prefix.
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// addr parses what is known to be an address.
func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// mroute returns an entry of a groved; nil if no protocol wants it.
func (l *lab) mroute(node, source, group string) *grovev1.Mroute {
	l.t.Helper()
	answer := ask(l, l.Client(node).ListMroutes, &grovev1.ListMroutesRequest{Family: familyOf(group), Group: group, Source: source})
	for _, m := range answer.Mroutes {
		if m.Wanted {
			return m
		}
	}
	return nil
}

// outgoing returns the outgoing interfaces of an entry, sorted.
func outgoing(m *grovev1.Mroute) []string {
	var names []string
	for _, o := range m.GetOutgoing() {
		names = append(names, o.Interface)
	}
	slices.Sort(names)
	return names
}

// show asks pimd and decodes its JSON.
func show[T any](l *lab, node, command string) T {
	l.t.Helper()
	var v T
	out, err := l.frr[node].VTY("pimd", command+" json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &v)
	}
	if err != nil {
		l.t.Fatalf("%s: %s: %v\n%s", node, command, err, out)
	}
	return v
}
