package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"grove/labs/traffic"
)

// recvReady is the first line of grove recv -j: the host is a member now.
type recvReady struct {
	Schema    string   `json:"schema"`
	Event     string   `json:"event"` // "ready"
	Interface string   `json:"interface"`
	Group     string   `json:"group"`
	Sources   []string `json:"sources"`
	Port      uint16   `json:"port"`
}

// recvPacket is a line of grove recv -j --packets.
type recvPacket struct {
	Schema    string  `json:"schema"`
	Event     string  `json:"event"` // "packet"
	Time      string  `json:"time"`
	Source    string  `json:"source"`
	Sequence  uint64  `json:"sequence"`
	TTL       uint8   `json:"ttl"`
	Hops      int     `json:"hops"`
	Latency   float64 `json:"latency_ms"`
	Duplicate bool    `json:"duplicate"`
}

// recvSummary is the last line of grove recv -j.
type recvSummary struct {
	Schema  string     `json:"schema"`
	Event   string     `json:"event"` // "summary"
	Group   string     `json:"group"`
	Seconds float64    `json:"seconds"`
	Packets uint64     `json:"packets"` // different ones of all flows
	Lost    uint64     `json:"lost"`    // of all flows
	Foreign uint64     `json:"foreign"` // datagrams of other programs
	Dropped uint32     `json:"dropped"` // by this host's socket, because it was not read fast enough
	Flows   []recvFlow `json:"flows"`
}

// recvFlow is the account of one run of one sender.
type recvFlow struct {
	Source        string  `json:"source"`
	SourcePort    uint16  `json:"source_port"`
	Run           uint64  `json:"run,string"`
	Packets       uint64  `json:"packets"` // different ones
	First         uint64  `json:"first"`
	Last          uint64  `json:"last"`
	LostAtStart   uint64  `json:"lost_at_start"` // numbers below the first
	Lost          uint64  `json:"lost"`          // between the first and the last
	Duplicates    uint64  `json:"duplicates"`
	Reordered     uint64  `json:"reordered"`
	TTL           uint8   `json:"ttl"` // of the last
	MinTTL        uint8   `json:"min_ttl"`
	MaxTTL        uint8   `json:"max_ttl"`
	Hops          int     `json:"hops"`
	MinLatency    float64 `json:"min_latency_ms"`
	MeanLatency   float64 `json:"mean_latency_ms"`
	MaxLatency    float64 `json:"max_latency_ms"`
	LongestSilent float64 `json:"longest_silence_ms"`
}

// receiving is one run of grove recv.
type receiving struct {
	traffic.RecvOptions
	count    uint64
	duration time.Duration
	json     bool
	packets  bool
	sources  []string
}

func recvCommand() *cobra.Command {
	var r receiving
	c := &cobra.Command{
		Use:   "recv -i INTERFACE GROUP",
		Short: "Join a group and count test packets",
		Long: `Join a group and count what grove send sends to it: packets, loss, duplicates,
disorder, latency (by the sender's clock), TTL. The line "ready" says that the host
is a member; a summary follows at the end: after --count different packets, after
--duration, or when it is stopped.

Exit status 0 if packets came, and with --count as many; else 1.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := (addrValue{&r.Group}).Set(args[0]); err != nil || r.Group.Zone() != "" {
					return usage("recv: %q is not a group", args[0])
				}
			}
			if !r.Group.IsValid() {
				return usage("recv: which group? Write it behind the options")
			}
			for _, s := range r.sources {
				a, err := netip.ParseAddr(s)
				if err != nil {
					return usage("recv: source %q is not an address", s)
				}
				r.Sources = append(r.Sources, a)
			}
			return r.run(c.Context(), c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVarP(&r.Interface, "interface", "i", "", "interface to join on")
	f.VarP(addrValue{&r.Group}, "group", "g", "group to join")
	f.StringSliceVar(&r.sources, "source", nil, "join for these sources only (source-specific); may be repeated")
	f.Uint16VarP(&r.Port, "port", "p", traffic.DefaultPort, "UDP port")
	f.Uint64Var(&r.count, "count", 0, "end after this many different packets")
	f.DurationVar(&r.duration, "duration", 0, "end after this time")
	f.BoolVar(&r.packets, "packets", false, "print each packet")
	f.BoolVarP(&r.json, "json", "j", false, "print JSON, one object a line")
	return c
}

func (r *receiving) run(ctx context.Context, out io.Writer) error {
	receiver, err := traffic.Listen(r.RecvOptions)
	if err != nil {
		return err
	}
	defer receiver.Close()
	w := bufio.NewWriter(out)
	defer w.Flush()
	lines := json.NewEncoder(w)
	if r.json {
		lines.Encode(recvReady{recvSchema, "ready", r.Interface, r.Group.String(), append([]string{}, r.sources...), r.Port})
	} else {
		fmt.Fprintln(w, "ready")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.duration)
		defer cancel()
	}
	start := time.Now()
	var account traffic.Account
	var each func(traffic.Arrival, bool)
	if r.packets {
		each = func(a traffic.Arrival, duplicate bool) {
			r.writePacket(w, lines, a, duplicate)
			w.Flush()
		}
	}
	if err := receiver.Receive(ctx, &account, r.count, each); err != nil {
		return err
	}
	sum := summarize(&account, r.Group, time.Since(start), receiver.Dropped())
	if r.json {
		lines.Encode(sum)
	} else {
		writeSummary(w, &sum)
	}
	if sum.Packets == 0 || sum.Packets < r.count {
		return &exitError{status: exitFailed}
	}
	return nil
}

func (r *receiving) writePacket(w io.Writer, lines *json.Encoder, a traffic.Arrival, duplicate bool) {
	if a.Err != nil {
		return
	}
	latency := a.At.Sub(a.Packet.Sent)
	hops := int(a.Packet.TTL) - int(a.TTL)
	if r.json {
		lines.Encode(recvPacket{recvSchema, "packet", a.At.UTC().Format(time.RFC3339Nano), a.From.Addr().String(), a.Packet.Seq, a.TTL, hops,
			milliseconds(latency), duplicate})
		return
	}
	fmt.Fprintf(w, "%s %s #%d TTL %d, %d hops, %.3f ms%s\n", a.At.Format("15:04:05.000"), a.From.Addr(), a.Packet.Seq, a.TTL, hops,
		milliseconds(latency), yes(duplicate, ", duplicate"))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// summarize converts an account.
func summarize(account *traffic.Account, group netip.Addr, took time.Duration, dropped uint32) recvSummary {
	s := recvSummary{
		Schema: recvSchema, Event: "summary", Group: group.String(), Seconds: took.Seconds(), Packets: account.Total(),
		Foreign: account.Foreign(), Dropped: dropped, Flows: []recvFlow{},
	}
	for _, f := range account.Flows() {
		s.Lost += f.Lost()
		s.Flows = append(s.Flows, recvFlow{
			Source: f.Source.Addr().String(), SourcePort: f.Source.Port(), Run: f.Run, Packets: f.Unique(), First: f.First, Last: f.Last,
			LostAtStart: f.First, Lost: f.Lost(), Duplicates: f.Duplicates, Reordered: f.Reordered,
			TTL: f.TTL, MinTTL: f.MinTTL, MaxTTL: f.MaxTTL, Hops: f.Hops,
			MinLatency: milliseconds(f.MinLatency), MeanLatency: milliseconds(f.MeanLatency()), MaxLatency: milliseconds(f.MaxLatency),
			LongestSilent: milliseconds(f.MaxGap),
		})
	}
	return s
}

func writeSummary(w io.Writer, s *recvSummary) {
	if len(s.Flows) == 0 {
		fmt.Fprintf(w, "nothing received of %s in %.1f s\n", s.Group, s.Seconds)
	} else {
		t := newTable("Source", "Packets", "Numbers", "Lost", "At start", "Duplicates", "Reordered", "TTL", "Hops", "Latency min/mean/max ms", "Longest silence ms")
		for _, f := range s.Flows {
			t.row(f.Source, fmt.Sprint(f.Packets), fmt.Sprintf("%d-%d", f.First, f.Last), fmt.Sprint(f.Lost), fmt.Sprint(f.LostAtStart),
				fmt.Sprint(f.Duplicates), fmt.Sprint(f.Reordered), fmt.Sprint(f.TTL), fmt.Sprint(f.Hops),
				fmt.Sprintf("%.3f/%.3f/%.3f", f.MinLatency, f.MeanLatency, f.MaxLatency), fmt.Sprintf("%.1f", f.LongestSilent))
		}
		t.write(w)
	}
	if s.Foreign > 0 {
		fmt.Fprintf(w, "%d datagrams were no test packets\n", s.Foreign)
	}
	if s.Dropped > 0 {
		fmt.Fprintf(w, "%d datagrams were dropped by this host, which did not read fast enough: they are not the network's loss\n", s.Dropped)
	}
}
