package msdp

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
)

// What a Query may ask for, and the type of the Answer:
//
//	"peers"     []PeerShow; with an address in Arg, that peer alone
//	"sa-cache"  []SAShow; with an address in Arg, those of this group, source or RP
//	"rpf"       RPFShow: why messages of the RP in Arg are taken from whom
//	"rps"       []RPShow: the RPs of other domains
//	"summary"   SummaryShow
//	"counts"    map[string]uint64

// PeerShow is a peer.
type PeerShow struct {
	Address, Local netip.Addr
	State          string // of RFC 3618, section 11: "DISABLED", "INACTIVE", "CONNECTING", "LISTEN", "ESTABLISHED"
	Since          time.Duration
	Active         bool // we open the connection
	AS             uint32
	MeshGroup      string
	Default        bool
	Protected      bool // TCP MD5
	Resets         int
	LastReset      string // why; "" if there was none

	ConnectRetry, Hold, Keepalive time.Duration // time left

	Cached     int  // entries that it told
	RPs        int  // RPs that it was the first to name
	Waiting    int  // bytes that it has not read
	CatchingUp bool // the cache is being sent, or will be when it has read

	MessagesIn, MessagesOut     uint64
	SAsIn, SAsOut               uint64 // entries
	KeepalivesIn, KeepalivesOut uint64
	RequestsIn, RequestsOut     uint64
	ResponsesIn, ResponsesOut   uint64
	DataIn, DataOut             uint64 // encapsulated packets
	Notifications, Unknown      uint64
	RPFFailures                 uint64 // entries, as all that follow
	FilteredIn, FilteredOut     uint64
	OverLimit, OverRate         uint64
	NotSent                     uint64 // it was slow to read; the cache is sent again later
	CacheSent                   uint64 // how often the whole cache was
}

// SAShow is an entry of the cache.
type SAShow struct {
	Key       engine.Key
	RP        netip.Addr
	Peer      netip.Addr // invalid: our own
	Own       bool
	Withheld  bool // our own: the configuration's filter keeps it here
	Age       time.Duration
	Expires   time.Duration // SA-State Timer
	Forwarded time.Duration // since it was last sent on; negative: never
	Wanted    bool          // pimsm has receivers of the group
}

// RPFShow is the peer-RPF neighbor of an RP, and how it was found.
type RPFShow struct {
	RP       netip.Addr
	Route    string
	Rule     string
	RPFPeer  netip.Addr // invalid: there is none, messages are taken from nobody
	Compared []string   // what each rule looked at, in their order
	Peers    []RPFPeerShow
}

// RPFPeerShow is the verdict on an RP's messages from a peer, and how many entries it met.
type RPFPeerShow struct {
	Peer               netip.Addr
	Established        bool
	Accepted           bool
	Rule               string // that decided
	AcceptedN, Refused uint64 // entries that came
}

// RPShow is an RP of another domain.
type RPShow struct {
	RP      netip.Addr
	RPFPeer netip.Addr
	Rule    string
	Cached  int
	Heard   time.Duration // since it was last named
}

// SummaryShow counts what there is.
type SummaryShow struct {
	Peers, Established                 int
	Cached, Own, Flows, Groups, Wanted int
	Sources, RPs                       int
	OriginatorID                       netip.Addr
}

// answer answers a Query.
func (m *Machine) answer(q engine.Query) {
	a := engine.Answer{From: m.id, ID: q.ID}
	var arg netip.Addr
	if q.Arg != "" {
		var err error
		if arg, err = netip.ParseAddr(q.Arg); err != nil || !arg.Is4() {
			a.Err = "msdp: not an IPv4 address: " + q.Arg
			m.emit(a)
			return
		}
	}
	switch q.What {
	case "peers":
		list := []PeerShow{}
		for _, p := range m.order {
			if !arg.IsValid() || p.cfg.Address == arg {
				list = append(list, p.show())
			}
		}
		if a.Value = list; arg.IsValid() && len(list) == 0 {
			a.Value, a.Err = nil, "msdp: no peer "+q.Arg
		}
	case "sa-cache":
		a.Value = m.showCache(arg)
	case "rpf":
		if !arg.IsValid() {
			a.Err = "msdp: rpf needs the address of an RP"
			break
		}
		r := m.rps[arg]
		if r == nil {
			r = m.trackRP(arg)
		}
		if !r.known {
			if len(r.asked) < maxAsked {
				r.asked = append(r.asked, q)
				return
			}
			a.Err = "msdp: the path to " + q.Arg + " is not known yet"
			break
		}
		a.Value = m.showRPF(r)
	case "rps":
		list := []RPShow{}
		for _, r := range engine.SortedAddrs(m.rps) {
			if r.known {
				c := choice{rule: RuleSelf}
				if !m.isSelf(r) {
					c = m.rpfPeer(r.addr, &r.path, nil)
				}
				list = append(list, RPShow{
					RP: r.addr, RPFPeer: c.peer.addr(), Rule: c.rule.String(), Cached: r.cached, Heard: m.now.Sub(r.heard),
				})
			}
		}
		a.Value = list
	case "summary":
		a.Value = m.summary()
	case "counts":
		a.Value = m.counts.Snapshot()
	default:
		a.Err = "msdp: unknown query " + q.What
	}
	m.emit(a)
}

// maxAsked is how many questions wait for the path to an RP.
const maxAsked = 16

func (p *peer) show() PeerShow {
	m, s := p.m, &p.stats
	return PeerShow{
		Address: p.cfg.Address, Local: p.cfg.Local, State: p.state.String(), Since: m.now.Sub(p.since), Active: p.active(),
		AS: p.as(), MeshGroup: p.cfg.MeshGroup, Default: p.cfg.Default, Protected: p.cfg.Password != "",
		Resets: p.resets, LastReset: p.lastReset,
		ConnectRetry: p.retry.Left(m.now), Hold: p.hold.Left(m.now), Keepalive: p.alive.Left(m.now),
		Cached: p.cached, RPs: p.rps, Waiting: p.waiting, CatchingUp: p.missed || p.dumping != dumpNothing,
		MessagesIn: s.messagesIn, MessagesOut: s.messagesOut, SAsIn: s.sasIn, SAsOut: s.sasOut,
		KeepalivesIn: s.keepalivesIn, KeepalivesOut: s.keepalivesOut,
		RequestsIn: s.requestsIn, RequestsOut: s.requestsOut, ResponsesIn: s.responsesIn, ResponsesOut: s.responsesOut,
		DataIn: s.dataIn, DataOut: s.dataOut, Notifications: s.notifications, Unknown: s.unknown,
		RPFFailures: s.rpfFailures, FilteredIn: s.filteredIn, FilteredOut: s.filteredOut,
		OverLimit: s.overLimit, OverRate: s.overRate, NotSent: s.notSent, CacheSent: s.dumps,
	}
}

func (m *Machine) showCache(only netip.Addr) []SAShow {
	list := []SAShow{}
	for _, l := range []*chain{&m.own, &m.cached} {
		for s := l.first; s != nil; s = s.next {
			if only.IsValid() && only != s.group() && only != s.source() && only != s.rp.addr {
				continue
			}
			x := SAShow{
				Key: s.flow.key.key(), RP: s.rp.addr, Peer: s.peer.addr(), Own: s.peer == nil, Withheld: s.withheld,
				Age: m.now.Sub(s.born), Expires: s.expires.Left(m.now), Forwarded: -1, Wanted: s.flow.g.wanted,
			}
			if !s.forwarded.IsZero() {
				x.Forwarded = m.now.Sub(s.forwarded)
			}
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b SAShow) int {
		return cmp.Or(a.Key.Compare(b.Key), a.RP.Compare(b.RP))
	})
	return list
}

// showRPF explains the verdicts on an RP.
func (m *Machine) showRPF(r *rp) RPFShow {
	x := RPFShow{RP: r.addr, Route: describeRoute(&r.path), Rule: RuleSelf.String(), Compared: []string{}}
	if !m.isSelf(r) {
		c := m.rpfPeer(r.addr, &r.path, &x.Compared)
		x.Rule, x.RPFPeer = c.rule.String(), c.peer.addr()
	}
	for _, p := range m.order {
		v := m.verdict(r, p)
		y := RPFPeerShow{Peer: p.cfg.Address, Established: p.state == Established, Accepted: v.Accepted, Rule: v.Rule.String()}
		for _, f := range r.from {
			if f.peer == p.cfg.Address {
				y.AcceptedN, y.Refused = f.accepted, f.rejected
			}
		}
		x.Peers = append(x.Peers, y)
	}
	return x
}

func (m *Machine) summary() SummaryShow {
	x := SummaryShow{
		Peers: len(m.order), Cached: m.cached.n, Own: m.own.n, Flows: len(m.flows), Groups: len(m.groups),
		Sources: len(m.perSource), RPs: len(m.rps), OriginatorID: m.cfg.OriginatorID,
	}
	for _, p := range m.order {
		if p.state == Established {
			x.Established++
		}
	}
	for _, g := range engine.Sorted(m.groups) {
		if g.wanted {
			x.Wanted++
		}
	}
	return x
}
