package msdp_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/msdp"
	"grove/msdp/wire"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

var local = addr("10.0.0.5")

// world is what surrounds the machine in a test: peers, rib, and pimsm.
type world struct {
	t      *testing.T
	m      *msdp.Machine
	start  time.Time
	now    time.Time
	cfg    msdp.Config
	paths  map[netip.Addr]engine.Path
	track  map[netip.Addr]bool
	peers  map[netip.Addr]engine.StreamID // the peer's stream
	names  map[engine.StreamID]netip.Addr
	open   map[engine.StreamID]bool // open from our side
	dial   map[engine.StreamID]bool // asked for, not answered
	listen []engine.StreamPeer
	read   map[engine.StreamID]*wire.Reader
	acc    engine.StreamID
	said   map[engine.Key]bool // RemoteSource
	own    []netip.Prefix
	slow   map[netip.Addr]bool // peers that do not read by themselves
	quiet  bool
	// received, if not nil, is what each peer got, in order.
	received map[netip.Addr][]engine.Key
	ticks    bool
	nosay    bool // tests without a script
	log      []string
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, start: time.Unix(1_000_000, 0), paths: map[netip.Addr]engine.Path{}, track: map[netip.Addr]bool{},
		peers: map[netip.Addr]engine.StreamID{}, names: map[engine.StreamID]netip.Addr{}, open: map[engine.StreamID]bool{},
		dial: map[engine.StreamID]bool{}, read: map[engine.StreamID]*wire.Reader{}, said: map[engine.Key]bool{},
		slow: map[netip.Addr]bool{},
	}
	w.now = w.start
	w.cfg.NoRecommendedFilters = true
	w.m = msdp.New(engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}, rand.New(rand.NewPCG(1, 2)))
	return w
}

func (w *world) step(ev engine.Event) { w.effects(slices.Clone(w.m.Step(w.now, ev))) }

func (w *world) event(ev engine.Event) {
	w.step(ev)
	w.step(engine.Settled{})
}

// effects plays the driver and rib.
func (w *world) effects(list []engine.Effect) {
	var paths []engine.Path
	var read []engine.StreamID
	for _, e := range list {
		switch e := e.(type) {
		case engine.Track:
			w.track[e.Addr] = true
			p := w.paths[e.Addr]
			p.Addr = e.Addr
			paths = append(paths, p)
		case engine.Untrack:
			delete(w.track, e.Addr)
		case engine.OpenStream:
			if e.ID>>63 != 0 || w.names[e.ID].IsValid() {
				w.t.Fatalf("stream %d is opened", e.ID)
			}
			w.names[e.ID], w.peers[e.Peer.Remote], w.dial[e.ID] = e.Peer.Remote, e.ID, true
			w.say(fmt.Sprintf("open %v > %v%s", e.Peer.Local, e.Peer.Remote, protection(e.Peer)))
		case engine.CloseStream:
			if !w.open[e.ID] && !w.dial[e.ID] {
				w.t.Fatalf("stream %d is closed and was not open", e.ID)
			}
			delete(w.open, e.ID)
			delete(w.dial, e.ID)
			how := "close"
			if e.Reset {
				how = "reset"
			}
			w.say(fmt.Sprintf("%s %v", how, w.names[e.ID]))
		case engine.WriteStream:
			if !w.open[e.ID] {
				w.t.Fatalf("write to stream %d, which is not open", e.ID)
			}
			if !w.slow[w.names[e.ID]] {
				read = append(read, e.ID)
			}
			for _, m := range w.written(e) {
				w.say(fmt.Sprintf("to %v: %s", w.names[e.ID], m))
			}
		case engine.Listen:
			w.listen = e.Peers
			var from []string
			for _, p := range e.Peers {
				from = append(from, fmt.Sprintf("%v%s", p.Remote, protection(p)))
			}
			w.say(fmt.Sprintf("listen on %d for %v", e.Port, from))
		case engine.RemoteSource:
			if e.Packet == nil && w.said[e.Key] == e.Active {
				w.t.Fatalf("said twice: %+v", e)
			}
			w.said[e.Key] = e.Active
			text := fmt.Sprintf("remote source %v", e.Key)
			if !e.Active {
				text += " is gone"
			} else {
				text += fmt.Sprintf(" of %v", e.RP)
			}
			if e.Packet != nil {
				text += fmt.Sprintf(" packet of %d bytes", len(e.Packet))
			}
			w.say(text)
		case engine.Transition:
			if w.quiet {
				continue
			}
			who := ""
			if e.Neighbor.IsValid() {
				who += " " + e.Neighbor.String()
			}
			if e.Key.Group.IsValid() {
				who += " " + e.Key.String()
			}
			w.say(fmt.Sprintf("%s%s: %s -> %s (%s)", e.Entity, who, e.Old, e.New, e.Cause))
		case engine.Note:
			w.say("note " + e.Text)
		case engine.Answer:
			w.answer(e)
		default:
			w.say(fmt.Sprintf("%T %+v", e, e))
		}
	}
	for _, p := range paths {
		w.step(p)
	}
	for _, id := range read {
		w.step(engine.StreamWritten{ID: id})
	}
}

func protection(p engine.StreamPeer) string {
	s := ""
	if p.Secret != "" {
		s += " with MD5"
	}
	if p.MinTTL != 0 {
		s += fmt.Sprintf(" ttl %d", p.MinTTL)
	}
	return s
}

// written reads what the machine wrote.
func (w *world) written(e engine.WriteStream) (list []string) {
	r := w.read[e.ID]
	r.Feed(e.Data)
	for {
		b, err := r.Next()
		if err != nil {
			w.t.Fatalf("the machine writes %x: %v", e.Data, err)
		}
		if b == nil {
			break
		}
		msg, err := wire.Parse(b)
		if err != nil || len(b) > wire.MaxLen {
			w.t.Fatalf("the machine writes a TLV of %d octets: %x: %v", len(b), b[:min(len(b), 40)], err)
		}
		if sa, ok := msg.(*wire.SourceActive); ok && w.received != nil {
			for _, x := range sa.Entries {
				w.received[w.names[e.ID]] = append(w.received[w.names[e.ID]], engine.SG(x.Source, x.Group))
			}
		}
		if !w.nosay {
			list = append(list, describe(msg))
		}
	}
	if r.Waiting() != 0 {
		w.t.Fatalf("the machine writes half a TLV")
	}
	return list
}

func describe(msg wire.Message) string {
	switch msg := msg.(type) {
	case *wire.KeepAlive:
		return "KeepAlive"
	case *wire.Request:
		return fmt.Sprintf("SA-Request %v", msg.Group)
	case *wire.SourceActive:
		s := "SA"
		if msg.Response {
			s = "SA-Response"
		}
		s += fmt.Sprintf(" rp %v", msg.RP)
		for n, e := range msg.Entries {
			if n == 4 {
				s += fmt.Sprintf(" ... of %d", len(msg.Entries))
				break
			}
			s += fmt.Sprintf(" %v,%v", e.Source, e.Group)
		}
		if msg.Data != nil {
			s += fmt.Sprintf(" data of %d bytes", len(msg.Data))
		}
		return s
	}
	return fmt.Sprintf("%+v", msg)
}

func (w *world) say(s string) {
	if w.nosay {
		return
	}
	if w.ticks {
		s = fmt.Sprintf("%v %s", w.now.Sub(w.start).Round(time.Millisecond), s)
	}
	w.log = append(w.log, s)
}

// wait lets time pass.
func (w *world) wait(d time.Duration) {
	until := w.now.Add(d)
	w.ticks = true
	for {
		at, ok := w.m.Deadline()
		if !ok || at.After(until) {
			break
		}
		if at.After(w.now) {
			w.now = at
		}
		w.event(engine.Tick{})
	}
	w.ticks = false
	w.now = until
}

// due lets pass what is due now.
func (w *world) due() {
	for n := 0; n < 1000; n++ {
		if at, ok := w.m.Deadline(); !ok || at.After(w.now) {
			return
		}
		w.event(engine.Tick{})
	}
	w.t.Fatal("the deadline does not advance")
}

// ---- the peers' side ----

func (w *world) connected(peer netip.Addr, id engine.StreamID, accepted bool) {
	w.names[id], w.peers[peer], w.open[id], w.read[id] = peer, id, true, &wire.Reader{}
	delete(w.dial, id)
	w.event(engine.StreamOpened{
		ID: id, Accepted: accepted, Local: netip.AddrPortFrom(local, 639), Remote: netip.AddrPortFrom(peer, 40000),
	})
}

// connect makes a connection of a peer, from whichever side.
func (w *world) connect(peer netip.Addr) {
	if id := w.peers[peer]; w.dial[id] {
		w.connected(peer, id, false)
		return
	}
	w.acc++
	w.connected(peer, 1<<63|w.acc, true)
}

func (w *world) send(peer netip.Addr, messages ...wire.Message) {
	var b []byte
	for _, m := range messages {
		var err error
		if b, err = m.Append(b); err != nil {
			w.t.Fatal(err)
		}
	}
	w.event(engine.StreamData{ID: w.peers[peer], Data: b})
}

func dataPacket(s, g netip.Addr, ttl int) []byte {
	p := ip.Packet{Src: s, Dst: g, Proto: engine.ProtoUDP, TTL: uint8(ttl), ID: 1, Payload: make([]byte, 20)}
	return p.Append(nil)
}

// flowOf reads "S,G".
func flowOf(s string) (engine.Key, error) {
	a, b, ok := strings.Cut(s, ",")
	if !ok {
		return engine.Key{}, fmt.Errorf("not S,G: %q", s)
	}
	return engine.SG(addr(a), addr(b)), nil
}

func (w *world) do(f []string) error {
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			w.t.Fatal(err)
		}
		return n
	}
	switch cmd, args := f[0], f[1:]; cmd {
	case "quiet":
		w.quiet = args[0] == "on"
	case "addr", "noaddr":
		for _, a := range args {
			p := netip.PrefixFrom(addr(a), 32)
			w.own = slices.DeleteFunc(w.own, func(o netip.Prefix) bool { return o == p })
			if cmd == "addr" {
				w.own = append(w.own, p)
			}
		}
		w.event(engine.InterfaceChange{Interface: engine.Interface{ID: 1, Name: "lo", Up: true, Carrier: true, Addrs: slices.Clone(w.own)}})
	case "peer":
		return w.peer(args)
	case "nopeer":
		w.cfg.Peers = slices.DeleteFunc(slices.Clone(w.cfg.Peers), func(p msdp.PeerConfig) bool { return p.Address == addr(args[0]) })
	case "in", "out":
		r, err := rule(args[1:])
		if err != nil {
			return err
		}
		w.cfg.Peers = slices.Clone(w.cfg.Peers)
		for n := range w.cfg.Peers {
			p := &w.cfg.Peers[n]
			switch {
			case p.Address != addr(args[0]):
			case cmd == "in":
				p.In = append(slices.Clone(p.In), r)
			default:
				p.Out = append(slices.Clone(p.Out), r)
			}
		}
	case "config":
		return w.config(args)
	case "connect":
		w.connect(addr(args[0]))
		w.due()
	case "accept": // from the peer, whether it should or not
		w.acc++
		w.connected(addr(args[0]), 1<<63|w.acc, true)
		w.due()
	case "fail", "close":
		id := w.peers[addr(args[0])]
		delete(w.open, id)
		delete(w.dial, id)
		why := ""
		if cmd == "fail" {
			why = strings.Join(args[1:], " ")
		}
		w.event(engine.StreamClosed{ID: id, Err: why})
	case "path":
		return w.path(args)
	case "sa", "response":
		m := &wire.SourceActive{RP: addr(args[1]), Response: cmd == "response"}
		for n := 2; n < len(args); n++ {
			if args[n] == "ttl" {
				last := m.Entries[len(m.Entries)-1]
				m.Data = dataPacket(last.Source, last.Group, number(args[n+1]))
				n++
				continue
			}
			k, err := flowOf(args[n])
			if err != nil {
				return err
			}
			m.Entries = append(m.Entries, wire.Entry{Source: k.Source, Group: k.Group, PrefixLen: 32})
		}
		w.send(addr(args[0]), m)
	case "flood": // PEER RP N: sources of N groups
		m := &wire.SourceActive{RP: addr(args[1])}
		s, g := addr("172.20.0.1"), addr("225.0.0.1")
		for range number(args[2]) {
			m.Entries = append(m.Entries, wire.Entry{Source: s, Group: g, PrefixLen: 32})
			g = g.Next()
			if len(m.Entries) == 255 {
				w.send(addr(args[0]), m)
				m.Entries = nil
			}
		}
		w.send(addr(args[0]), m)
	case "from":
		b, err := hex.DecodeString(strings.Join(args[1:], ""))
		if err != nil {
			return err
		}
		w.event(engine.StreamData{ID: w.peers[addr(args[0])], Data: b})
	case "keepalive":
		w.send(addr(args[0]), &wire.KeepAlive{})
	case "request":
		w.send(addr(args[0]), &wire.Request{Group: addr(args[1])})
	case "notify":
		w.send(addr(args[0]), &wire.Notification{Code: uint8(number(args[1])), Subcode: uint8(number(args[2]))})
	case "slow":
		w.slow[addr(args[0])] = true
	case "written":
		w.event(engine.StreamWritten{ID: w.peers[addr(args[0])], Waiting: number(args[1])})
		w.due()
	case "source":
		k, err := flowOf(args[0])
		if err != nil {
			return err
		}
		e := engine.SourceActive{Key: k, RP: addr(args[1]), Active: true}
		if len(args) > 2 {
			e.Packet = dataPacket(k.Source, k.Group, number(args[3]))
		}
		w.event(e)
	case "nosource":
		k, err := flowOf(args[0])
		if err != nil {
			return err
		}
		w.event(engine.SourceActive{Key: k, RP: addr(args[1])})
	case "want", "unwant":
		for k := range w.said {
			if cmd == "want" && k.Group == addr(args[0]) {
				w.said[k] = false // it is asked for anew
			}
		}
		w.event(engine.SourcesWanted{Group: addr(args[0]), Wanted: cmd == "want"})
	case "wait":
		d, err := time.ParseDuration(args[0])
		w.wait(d)
		return err
	case "show":
		arg := ""
		if len(args) > 1 {
			arg = args[1]
		}
		w.event(engine.Query{ID: 1, What: args[0], Arg: arg})
	case "shutdown":
		w.event(engine.Shutdown{})
	default:
		return fmt.Errorf("unknown command %q", cmd)
	}
	return nil
}

func rule(f []string) (r msdp.FilterRule, err error) {
	r.Deny = f[0] == "deny"
	for n := 1; n+1 < len(f); n += 2 {
		p, err := netip.ParsePrefix(f[n+1])
		if err != nil {
			return r, err
		}
		switch f[n] {
		case "source":
			r.Source = p
		case "group":
			r.Group = p
		case "rp":
			r.RP = p
		default:
			return r, fmt.Errorf("what is %q", f[n])
		}
	}
	return r, nil
}

func (w *world) peer(f []string) error {
	p := msdp.PeerConfig{Address: addr(f[0]), Local: local}
	for n := 1; n < len(f); n++ {
		value := ""
		if n+1 < len(f) {
			value = f[n+1]
		}
		number, _ := strconv.Atoi(value)
		switch f[n] {
		case "default":
			p.Default = true
			continue
		case "disabled":
			p.Disabled = true
			continue
		case "asks":
			p.Request = true
			continue
		case "mesh":
			p.MeshGroup = value
		case "for":
			p.DefaultFor = append(p.DefaultFor, netip.MustParsePrefix(value))
		case "as":
			p.AS = uint32(number)
		case "password":
			p.Password = value
		case "minttl":
			p.MinTTL = uint8(number)
		case "boundary":
			p.Boundary = append(p.Boundary, netip.MustParsePrefix(value))
		case "ttl":
			p.TTLThreshold = uint8(number)
		case "max":
			p.MaxSAs = number
		case "rate":
			p.Rate = number
		case "burst":
			p.Burst = number
		case "waiting":
			p.MaxWaiting = number
		default:
			return fmt.Errorf("what is %q", f[n])
		}
		n++
	}
	w.cfg.Peers = slices.DeleteFunc(slices.Clone(w.cfg.Peers), func(o msdp.PeerConfig) bool { return o.Address == p.Address })
	w.cfg.Peers = append(w.cfg.Peers, p)
	return nil
}

func (w *world) config(f []string) error {
	c := &w.cfg
	limits := map[string]*int{
		"max": &c.MaxSAs, "max-rp": &c.MaxPerRP, "max-source": &c.MaxPerSource, "max-flow": &c.MaxPerFlow, "max-rps": &c.MaxRPs,
		"max-rps-peer": &c.MaxRPsOfPeer,
	}
	switch f[0] {
	case "originator":
		c.OriginatorID = netip.Addr{}
		if len(f) > 1 {
			c.OriginatorID = addr(f[1])
		}
	case "originate":
		r, err := rule(f[1:])
		if err != nil {
			return err
		}
		c.Originate = append(slices.Clone(c.Originate), r)
	case "recommended":
		c.NoRecommendedFilters = f[1] == "off"
	case "nodata":
		c.NoData = true
	case "static":
		c.StaticRPF = append(slices.Clone(c.StaticRPF), msdp.StaticRPF{RPs: netip.MustParsePrefix(f[1]), Peer: addr(f[2])})
	case "go":
		w.event(engine.Configure{Config: *c})
	default:
		if limits[f[0]] == nil {
			return fmt.Errorf("what is %q", f[0])
		}
		n, err := strconv.Atoi(f[1])
		*limits[f[0]] = n
		return err
	}
	return nil
}

func (w *world) path(f []string) error {
	p := engine.Path{Addr: addr(f[0]), Prefix: netip.PrefixFrom(addr(f[0]), 24).Masked(), Origin: "ospf"}
	hop := func(gw string) { p.Hops = []engine.NextHop{{If: 2, Gateway: addr(gw), Weight: 1}} }
	switch f[1] {
	case "none":
		p.Prefix, p.Origin = netip.Prefix{}, ""
	case "local":
		p.Local = true
	case "via":
		hop(f[2])
		if len(f) > 3 {
			p.Origin = f[3]
		}
	case "ebgp", "ibgp": // NEXTHOP NEIGHBOR AS,AS...
		p.Origin = "bgp"
		p.BGP = &engine.BGPPath{NextHop: addr(f[2]), Neighbor: addr(f[3]), Internal: f[1] == "ibgp"}
		hop("10.9.9.9")
		if len(f) > 4 {
			for _, as := range strings.Split(f[4], ",") {
				n, err := strconv.Atoi(as)
				if err != nil {
					return err
				}
				p.BGP.ASPath = append(p.BGP.ASPath, uint32(n))
			}
		}
	default:
		return fmt.Errorf("what is %q", f[1])
	}
	w.paths[p.Addr] = p
	if w.track[p.Addr] {
		w.event(p)
	}
	return nil
}

func (w *world) answer(a engine.Answer) {
	if a.Err != "" {
		w.say("error " + a.Err)
		return
	}
	round := func(d time.Duration) time.Duration { return d.Round(time.Second) }
	switch v := a.Value.(type) {
	case []msdp.PeerShow:
		for _, p := range v {
			w.say(fmt.Sprintf("%v %s %v since %v resets %d %q cached %d waiting %d catching up %v", p.Address, map[bool]string{true: "active", false: "passive"}[p.Active],
				p.State, round(p.Since), p.Resets, p.LastReset, p.Cached, p.Waiting, p.CatchingUp))
			w.say(fmt.Sprintf("  timers retry %v hold %v keepalive %v", round(p.ConnectRetry), round(p.Hold), round(p.Keepalive)))
			w.say(fmt.Sprintf("  SA %d/%d keepalive %d/%d request %d/%d response %d/%d data %d/%d rpf-fail %d filtered %d/%d limit %d rate %d not sent %d dumps %d",
				p.SAsIn, p.SAsOut, p.KeepalivesIn, p.KeepalivesOut, p.RequestsIn, p.RequestsOut, p.ResponsesIn, p.ResponsesOut, p.DataIn, p.DataOut,
				p.RPFFailures, p.FilteredIn, p.FilteredOut, p.OverLimit, p.OverRate, p.NotSent, p.CacheSent))
		}
	case []msdp.SAShow:
		for _, s := range v {
			from := s.Peer.String()
			if s.Own {
				from = "own"
			}
			if s.Withheld {
				from += " withheld"
			}
			w.say(fmt.Sprintf("%v rp %v %s age %v expires %v wanted %v", s.Key, s.RP, from, round(s.Age), round(s.Expires), s.Wanted))
		}
	case msdp.RPFShow:
		w.say(fmt.Sprintf("RP %v (%s): RPF peer %v by %s", v.RP, v.Route, v.RPFPeer, v.Rule))
		for _, c := range v.Compared {
			w.say("  " + c)
		}
		for _, p := range v.Peers {
			w.say(fmt.Sprintf("  from %v: accepted %v, %s; %d and %d refused", p.Peer, p.Accepted, p.Rule, p.AcceptedN, p.Refused))
		}
	case []msdp.RPShow:
		for _, r := range v {
			w.say(fmt.Sprintf("RP %v peer %v by %s cached %d heard %v", r.RP, r.RPFPeer, r.Rule, r.Cached, round(r.Heard)))
		}
	case map[string]uint64:
		for k, n := range engine.Sorted(v) {
			w.say(fmt.Sprintf("%s %d", k, n))
		}
	default:
		w.say(fmt.Sprintf("%+v", v))
	}
}
