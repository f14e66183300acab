package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"grove/dvmrp/wire"
)

// mrinfo holds the options of grove mrinfo.
type mrinfo struct {
	timeout time.Duration
	retries int
	numeric bool
}

func mrinfoCommand() *cobra.Command {
	var o mrinfo
	var seconds float64
	c := &cobra.Command{
		Use:   "mrinfo [-t SECONDS] ROUTER",
		Short: "Ask a DVMRP router for its interfaces and neighbors",
		Long: `Ask a router for its interfaces and neighbors (DVMRP AskNeighbors2) and print the
answer as the classic mrinfo does, one line for each neighbor:

  ADDRESS (NAME) [version MAJOR.MINOR,CAPABILITIES]:
    LOCAL -> NEIGHBOR (NAME) [METRIC/THRESHOLD/FLAGS]

An interface without neighbors has the neighbor 0.0.0.0 (local). The router need not
be grove, nor a neighbor. Sending needs root (a raw socket).

Exit status 1 if no answer came.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if seconds <= 0 || seconds > 3600 {
				return usage("mrinfo: -t %g: seconds from more than 0 to 3600", seconds)
			}
			o.timeout = time.Duration(seconds * float64(time.Second))
			router, err := resolve(c.Context(), args[0])
			if err != nil {
				return err
			}
			from, answers, err := o.ask(c.Context(), router)
			if err != nil {
				return err
			}
			if from != router {
				fmt.Fprintf(c.ErrOrStderr(), "grove: %s answers for %s\n", from, router)
			}
			name := nameOf
			if o.numeric {
				name = func(context.Context, netip.Addr) string { return "" }
			}
			writeNeighbors(c.Context(), c.OutOrStdout(), from, answers, name)
			return nil
		},
	}
	c.Flags().Float64VarP(&seconds, "timeout", "t", 4, "seconds to wait for an answer before asking again")
	c.Flags().IntVarP(&o.retries, "retries", "r", 3, "how often to ask again")
	c.Flags().BoolVarP(&o.numeric, "numeric", "n", false, "do not look names up")
	return c
}

// resolve returns the IPv4 address that text is, or that it is the name of.
func resolve(ctx context.Context, text string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if !a.Is4() || a.IsMulticast() {
			return a, usage("mrinfo: %s: DVMRP has unicast IPv4 addresses only", text)
		}
		return a, nil
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("mrinfo: %s is neither an IPv4 address nor a name that is known: %w", text, err)
	}
	return list[0].Unmap(), nil
}

// nameOf returns the name of an address, "" if it has none.
func nameOf(ctx context.Context, a netip.Addr) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	names, err := net.DefaultResolver.LookupAddr(ctx, a.String())
	if err != nil || len(names) == 0 {
		return ""
	}
	return strings.TrimSuffix(names[0], ".")
}

// neighbors2 is an answer with its header.
type neighbors2 struct {
	wire.Header
	*wire.Neighbors2
}

// moreToCome is how long an answer is awaited after another: a router with many interfaces sends several.
const moreToCome = 300 * time.Millisecond

// ask asks the router, again if it is silent, and returns the address that it answers from and what it says.
func (o *mrinfo) ask(ctx context.Context, router netip.Addr) (netip.Addr, []neighbors2, error) {
	conn, err := net.ListenPacket("ip4:2", "0.0.0.0") // IGMP, which DVMRP is a part of
	if errors.Is(err, os.ErrPermission) {
		return router, nil, fmt.Errorf("mrinfo: %w\nRun it as root: DVMRP needs a raw socket", err)
	} else if err != nil {
		return router, nil, fmt.Errorf("mrinfo: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	question, err := wire.Encode(wire.Header{Version: wire.OurVersion}, &wire.AskNeighbors2{})
	if err != nil {
		return router, nil, err
	}
	for try := 0; try <= o.retries && ctx.Err() == nil; try++ {
		if _, err := conn.WriteTo(question, &net.IPAddr{IP: router.AsSlice()}); err != nil && ctx.Err() == nil {
			return router, nil, fmt.Errorf("mrinfo: %w", err)
		}
		if from, answers := o.await(conn, router); len(answers) > 0 {
			return from, answers, nil
		}
	}
	if ctx.Err() != nil {
		return router, nil, errors.New("interrupted")
	}
	return router, nil, fmt.Errorf("mrinfo: %s does not answer.\nIs it reachable, and does a router with DVMRP run there?", router)
}

// await reads until the router has answered or the time is over. A router may answer from another of its addresses, which
// is taken if nothing comes from the one asked.
func (o *mrinfo) await(conn net.PacketConn, router netip.Addr) (netip.Addr, []neighbors2) {
	all := make(map[netip.Addr][]neighbors2)
	other := router
	b := make([]byte, 65536)
	for until := time.Now().Add(o.timeout); conn.SetReadDeadline(until) == nil; {
		n, addr, err := conn.ReadFrom(b)
		if err != nil {
			break
		}
		src, _ := netip.AddrFromSlice(addr.(*net.IPAddr).IP.To4())
		h, m, err := wire.Parse(b[:n])
		answer, is := m.(*wire.Neighbors2)
		if err != nil || !is {
			continue
		}
		all[src] = append(all[src], neighbors2{h, answer})
		if src == router {
			until = time.Now().Add(moreToCome)
		} else if other == router {
			other = src
		}
	}
	if len(all[router]) > 0 {
		return router, all[router]
	}
	return other, all[other]
}

// The words of mrinfo for capabilities and flags, in its order.
var (
	capabilityWords = []struct {
		bit  wire.Capabilities
		word string
	}{
		{wire.CapLeaf, "leaf"}, {wire.CapPrune, "prune"}, {wire.CapGenerationID, "genid"}, {wire.CapMtrace, "mtrace"}, {wire.CapSNMP, "snmp"},
	}
	flagWords = []struct {
		bit  wire.InterfaceFlags
		word string
	}{
		{wire.FlagTunnel, "tunnel"}, {wire.FlagSourceRoute, "srcrt"}, {wire.FlagPIM, "pim"}, {wire.FlagQuerier, "querier"},
		{wire.FlagDisabled, "disabled"}, {wire.FlagDown, "down"}, {wire.FlagLeaf, "leaf"},
	}
)

// writeNeighbors prints answers of a router as the mrinfo of old does.
func writeNeighbors(ctx context.Context, w io.Writer, from netip.Addr, answers []neighbors2, name func(context.Context, netip.Addr) string) {
	known := map[netip.Addr]string{netip.IPv4Unspecified(): "local"}
	named := func(a netip.Addr) string {
		n, ok := known[a]
		if !ok {
			n = cmp.Or(name(ctx, a), a.String())
			known[a] = n
		}
		return fmt.Sprintf("%s (%s)", a, n)
	}
	fmt.Fprintf(w, "%s [version %s", named(from), answers[0].Version)
	for _, c := range capabilityWords {
		if answers[0].Capabilities&c.bit != 0 {
			fmt.Fprint(w, ",", c.word)
		}
	}
	fmt.Fprintln(w, "]:")
	for _, a := range answers {
		for _, i := range a.Interfaces {
			state := fmt.Sprintf("%d/%d", i.Metric, i.Threshold)
			for _, f := range flagWords {
				if i.Flags&f.bit != 0 {
					state += "/" + f.word
				}
			}
			neighbors := i.Neighbors
			if len(neighbors) == 0 {
				neighbors = []netip.Addr{netip.IPv4Unspecified()}
			}
			for _, n := range neighbors {
				fmt.Fprintf(w, "  %s -> %s [%s]\n", i.Local, named(n), state)
			}
		}
	}
}
