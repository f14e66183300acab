package mfib_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/script"
	"grove/mfib"
)

// TestScenarios runs testdata/*.txt. The commands (KEY is S,G or *,G or *,*; a list has commas):
//
//	family ipv6
//	config NAME OWNER [ttl=N] [boundary=PREFIXES] [groups=PREFIX@OWNER,...]   collected for the next configure, as is:
//	limit entries|negative|life|check|rewrite|rate|groups|held|heldper N
//	configure
//	if N NAME          ifgone N
//	want WHO KEY [in=N] [out=N[:TTL],...] [accept=N,...] [encap=ADDR] [tap] [negative=WORD] [expires=D] [wrongif=N,...] [activity=D]
//	unwant WHO KEY     decline WHO KEY     revisit WHO KEY     wildcard WHO PREFIX...
//	interest WHO G     nointerest WHO G
//	path S N|-         the MRIB's answer: the interface of the next hop
//	nocache VIF KEY    whole KEY [TTL]     wrong VIF KEY       wrongwhole VIF KEY
//	inject WHO KEY TTL [N,...] [fresh]
//	counters KEY PACKETS WRONG             missing KEY         failed KEY WORD     viffailed VIF WORD
//	settle
//	after D            time passes: whatever is due, and Settled after each
//	entries [ADDR]     interfaces          counts
func TestScenarios(t *testing.T) {
	script.Run(t, "testdata/*.txt", func(t *testing.T) func([]string) string {
		return newInterpreter(t).run
	})
}

type interpreter struct {
	t      testing.TB
	family engine.Family
	m      *mfib.Machine
	cfg    mfib.Config
	now    time.Time
}

func newInterpreter(t testing.TB) *interpreter {
	return &interpreter{t: t, family: engine.IPv4, now: time.Unix(1000, 0)}
}

func (in *interpreter) run(w []string) string {
	if w[0] == "family" {
		in.family = engine.IPv6
		return ""
	}
	if in.m == nil {
		in.m = mfib.New(engine.MachineID{Protocol: engine.MFIB, Family: in.family})
	}
	switch w[0] {
	case "config":
		in.config(w)
		return ""
	case "limit":
		in.limit(w[1], w[2])
		return ""
	case "after":
		return in.after(w[1])
	}
	return printAll(in.m.Step(in.now, in.event(w)))
}

// event returns the event of a command.
func (in *interpreter) event(w []string) engine.Event {
	switch w[0] {
	case "configure":
		cfg := in.cfg
		in.cfg.Interfaces = nil
		return engine.Configure{Config: cfg}
	case "if":
		return engine.InterfaceChange{Interface: engine.Interface{ID: engine.IfID(in.number(w[1])), Name: w[2], Up: true, Carrier: true}}
	case "ifgone":
		return engine.InterfaceChange{Interface: engine.Interface{ID: engine.IfID(in.number(w[1]))}, Gone: true}
	case "want":
		return in.want(w)
	case "unwant":
		return engine.Unwant{From: in.who(w[1]), Key: key(w[2])}
	case "decline":
		return engine.Decline{From: in.who(w[1]), Key: key(w[2])}
	case "revisit":
		return engine.Revisit{From: in.who(w[1]), Key: key(w[2])}
	case "wildcard":
		ev := engine.Wildcard{From: in.who(w[1])}
		for _, p := range w[2:] {
			ev.Groups = append(ev.Groups, netip.MustParsePrefix(p))
		}
		return ev
	case "interest", "nointerest":
		return engine.Interest{From: in.who(w[1]), Group: netip.MustParseAddr(w[2]), Wanted: w[0] == "interest"}
	case "inject":
		ev := engine.Inject{From: in.who(w[1]), Packet: in.packet(key(w[2]), w[3])}
		for _, o := range w[4:] {
			if o == "fresh" {
				ev.Fresh = true
			} else {
				ev.Out = in.ids(o)
			}
		}
		return ev
	case "path":
		p := engine.Path{To: in.who("mfib"), Addr: netip.MustParseAddr(w[1])}
		if w[2] != "-" {
			p.Hops = []engine.NextHop{{If: engine.IfID(in.number(w[2]))}}
		}
		return p
	case "nocache", "wrong", "wrongwhole":
		k := key(w[2])
		kind := map[string]engine.UpcallKind{
			"nocache": engine.NoCache, "wrong": engine.WrongVIF, "wrongwhole": engine.WrongVIFWhole,
		}[w[0]]
		ev := engine.Upcall{Kind: kind, VIF: engine.VIF(in.number(w[1])), Src: k.Source, Dst: k.Group}
		if kind == engine.WrongVIFWhole {
			ev.Packet = in.packet(k, "64")
		}
		return ev
	case "whole":
		k := key(w[1])
		v := 31
		a := in.ask("interfaces").(mfib.Interfaces)
		if a.Register >= 0 {
			v = a.Register
		}
		return engine.Upcall{Kind: engine.WholePkt, VIF: engine.VIF(v), Src: k.Source, Dst: k.Group, Packet: in.packet(k, append(w, "64")[2])}
	case "counters":
		n, wrong := uint64(in.number(w[2])), uint64(in.number(w[3]))
		return engine.Counters{Rows: []engine.RowCounters{{Key: key(w[1]), Packets: n, Bytes: 100 * n, WrongIf: wrong}}}
	case "missing":
		return engine.Counters{Rows: []engine.RowCounters{{Key: key(w[1]), Missing: true}}}
	case "failed":
		return engine.RowFailed{Key: key(w[1]), Err: w[2]}
	case "viffailed":
		return engine.RowFailed{OfVIF: true, VIF: engine.VIF(in.number(w[1])), Err: w[2]}
	case "settle":
		return engine.Settled{}
	case "entries", "interfaces", "counts":
		return engine.Query{What: w[0], Arg: strings.Join(w[1:], "")}
	}
	in.t.Fatalf("unknown command %q", w[0])
	return nil
}

func (in *interpreter) packet(k engine.Key, ttl string) []byte {
	p := ip.UDP(netip.AddrPortFrom(k.Source, 5), netip.AddrPortFrom(k.Group, 5), uint8(in.number(ttl)), []byte("data"))
	return p.Append(nil)
}

// after lets time pass.
func (in *interpreter) after(d string) string {
	length, err := time.ParseDuration(d)
	if err != nil {
		in.t.Fatal(err)
	}
	start, end := in.now, in.now.Add(length)
	var b strings.Builder
	for rounds := 0; ; rounds++ {
		at, ok := in.m.Deadline()
		if !ok || at.After(end) {
			break
		}
		if rounds > 100000 {
			in.t.Fatal("the deadline does not advance")
		}
		in.now = at
		text := printAll(in.m.Step(at, engine.Tick{})) + printAll(in.m.Step(at, engine.Settled{}))
		for line := range strings.Lines(text) {
			fmt.Fprintf(&b, "+%v %s", at.Sub(start), line)
		}
	}
	in.now = end
	return b.String()
}

func (in *interpreter) ask(what string) any {
	for _, e := range in.m.Step(in.now, engine.Query{What: what}) {
		if a, ok := e.(engine.Answer); ok {
			return a.Value
		}
	}
	in.t.Fatalf("no answer to %s", what)
	return nil
}

func (in *interpreter) config(w []string) {
	ic := mfib.InterfaceConfig{Owner: engine.Protocol(w[2])}
	for _, o := range w[3:] {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "ttl":
			ic.TTLThreshold = uint8(in.number(value))
		case "boundary":
			for p := range strings.SplitSeq(value, ",") {
				ic.Boundaries = append(ic.Boundaries, netip.MustParsePrefix(p))
			}
		case "groups":
			for p := range strings.SplitSeq(value, ",") {
				prefix, owner, _ := strings.Cut(p, "@")
				ic.Groups = append(ic.Groups, mfib.GroupOwner{Groups: netip.MustParsePrefix(prefix), Owner: engine.Protocol(owner)})
			}
		}
	}
	if in.cfg.Interfaces == nil {
		in.cfg.Interfaces = make(map[string]mfib.InterfaceConfig)
	}
	in.cfg.Interfaces[w[1]] = ic
}

func (in *interpreter) limit(name, value string) {
	n := in.number(value)
	switch name {
	case "entries":
		in.cfg.MaxEntries = n
	case "negative":
		in.cfg.MaxNegative = n
	case "life":
		in.cfg.NegativeLife = time.Duration(n) * time.Second
	case "check":
		in.cfg.CheckInterval = time.Duration(n) * time.Second
	case "rewrite":
		in.cfg.RewriteEvery = n
	case "rate":
		in.cfg.UpcallRate = n
	case "groups":
		in.cfg.MaxGroups = n
	case "held":
		in.cfg.MaxHeld = n
	case "heldper":
		in.cfg.MaxHeldPerEntry = n
	}
}

func (in *interpreter) want(w []string) engine.Want {
	ev := engine.Want{From: in.who(w[1]), Key: key(w[2])}
	duration := func(s string) time.Duration {
		d, err := time.ParseDuration(s)
		if err != nil {
			in.t.Fatal(err)
		}
		return d
	}
	for _, o := range w[3:] {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "in":
			ev.In = engine.IfID(in.number(value))
		case "out":
			for n := range strings.SplitSeq(value, ",") {
				id, ttl, _ := strings.Cut(n, ":")
				out := engine.Outgoing{If: engine.IfID(in.number(id))}
				if ttl != "" {
					out.Threshold = uint8(in.number(ttl))
				}
				ev.Out = append(ev.Out, out)
			}
		case "accept":
			ev.Accept = in.ids(value)
		case "wrongif":
			ev.WrongIf = in.ids(value)
		case "encap":
			ev.Encap = []engine.Encap{{Kind: engine.EncapRegister, To: netip.MustParseAddr(value)}}
		case "tap":
			ev.Tap = true
		case "negative":
			ev.Negative = value
		case "expires":
			ev.Expires = duration(value)
		case "activity":
			ev.Activity = duration(value)
		default:
			in.t.Fatalf("unknown option %q", o)
		}
	}
	return ev
}

func (in *interpreter) ids(s string) (list []engine.IfID) {
	for n := range strings.SplitSeq(s, ",") {
		list = append(list, engine.IfID(in.number(n)))
	}
	return list
}

func (in *interpreter) number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		in.t.Fatal(err)
	}
	return n
}

func (in *interpreter) who(name string) engine.MachineID {
	return engine.MachineID{Protocol: engine.Protocol(name), Family: in.family}
}

func key(s string) engine.Key {
	source, group, _ := strings.Cut(s, ",")
	var k engine.Key
	if source != "*" {
		k.Source = netip.MustParseAddr(source)
	}
	if group != "*" {
		k.Group = netip.MustParseAddr(group)
	}
	return k
}

func printAll(effects []engine.Effect) string {
	var b strings.Builder
	for _, e := range effects {
		b.WriteString(print(e))
	}
	return b.String()
}

// print writes an effect as lines.
func print(e engine.Effect) string {
	switch e := e.(type) {
	case engine.SetVIF:
		switch {
		case e.Gone:
			return fmt.Sprintf("vif %d gone\n", e.VIF)
		case e.Register:
			return fmt.Sprintf("vif %d is the register interface\n", e.VIF)
		}
		return fmt.Sprintf("vif %d is if %d\n", e.VIF, e.If)
	case engine.SetRows:
		var b strings.Builder
		for _, r := range e.Rows {
			b.WriteString("row " + rowText(r) + "\n")
		}
		return b.String()
	case engine.ReadCounters:
		return fmt.Sprintf("read %v\n", e.Keys)
	case engine.Creation:
		return fmt.Sprintf("to %s: Creation %v if %d%s\n", e.To.Protocol, e.Key, e.If, with(e.Packet))
	case engine.Inject:
		p, err := ip.Parse(e.Packet)
		return fmt.Sprintf("inject (%v,%v) ttl %d out of %v%s\n", p.Src, p.Dst, p.TTL, e.Out, errorText(err))
	case engine.WholePacket:
		return fmt.Sprintf("to %s: WholePacket %v if %d%s\n", e.To.Protocol, e.Key, e.If, with(e.Packet))
	case engine.WrongInterface:
		return fmt.Sprintf("to %s: WrongInterface %v if %d%s\n", e.To.Protocol, e.Key, e.If, with(e.Packet))
	case engine.Activity:
		return fmt.Sprintf("to %s: Activity %v %d packets, %d wrong\n", e.To.Protocol, e.Key, e.Packets, e.WrongIf)
	case engine.Alert:
		return fmt.Sprintf("to %s: %s alert %v\n", e.To.Protocol, map[engine.AlertKind]string{engine.JoinAlert: "Join", engine.PruneAlert: "Prune"}[e.Kind], e.Key)
	case engine.Deletion:
		return fmt.Sprintf("to %s: Deletion %v: %s\n", e.To.Protocol, e.Key, e.Cause)
	case engine.OwnerChanged:
		return fmt.Sprintf("to %s: OwnerChanged %v %s\n", e.To.Protocol, e.Key, e.Owner.Protocol)
	case engine.Installed:
		return fmt.Sprintf("to %s: Installed %v\n", e.To.Protocol, e.Key)
	case engine.Failed:
		return fmt.Sprintf("to %s: Failed %v: %s\n", e.To.Protocol, e.Key, e.Err)
	case engine.Track:
		return fmt.Sprintf("track %v\n", e.Addr)
	case engine.Untrack:
		return fmt.Sprintf("untrack %v\n", e.Addr)
	case engine.Note:
		return fmt.Sprintf("note %d: %s\n", e.Level, e.Text)
	case engine.Answer:
		return answerText(e)
	}
	return fmt.Sprintf("%T %+v\n", e, e)
}

func errorText(err error) string {
	if err != nil {
		return ": " + err.Error()
	}
	return ""
}

func with(packet []byte) string {
	if packet == nil {
		return ""
	}
	return " with the packet"
}

func rowText(r engine.Row) string {
	if r.Gone {
		return fmt.Sprintf("%v gone", r.Key)
	}
	s := fmt.Sprintf("%v parent %d:", r.Key, r.Parent)
	for v, ttl := range r.TTL {
		if ttl != 0 {
			s += fmt.Sprintf(" %d>%d", v, ttl)
		}
	}
	return s
}

func answerText(a engine.Answer) string {
	if a.Err != "" {
		return a.Err + "\n"
	}
	var b strings.Builder
	switch v := a.Value.(type) {
	case []mfib.Entry:
		for _, e := range v {
			fmt.Fprintf(&b, "%v %s %q owner %q in %s out %v accept %v register %v, %d packets %d bytes %d wrong, age %v left %v\n",
				e.Key, e.State, e.Reason, e.Owner.Protocol, e.In.Name, e.Out, e.Accept, e.Register, e.Packets, e.Bytes, e.WrongIf, e.Age, e.Left)
			for _, w := range e.Wants {
				fmt.Fprintf(&b, "  %s negative %q tap %v encap %v fault %q left %v\n", w.By.Protocol, w.Negative, w.Tap, w.Encap, w.Fault, w.Left)
			}
		}
	case mfib.Interfaces:
		fmt.Fprintf(&b, "%d/%d VIFs, register %d\n", v.VIFs, v.MaxVIFs, v.Register)
		for _, i := range v.List {
			fmt.Fprintf(&b, "%s vif %d owner %s ttl %d boundaries %v rows %d %s\n", i.Name, i.VIF, i.Owner, i.TTLThreshold, i.Boundaries, i.Rows, i.Err)
		}
	default:
		fmt.Fprintf(&b, "%+v\n", v)
	}
	return b.String()
}
