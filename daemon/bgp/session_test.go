package bgp

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/sirupsen/logrus"

	"grove/daemon/bgp/show"
	"grove/daemon/config"
	"grove/internal/engine"
	"grove/internal/testneed"
)

// node is a Server under test, with what it told.
type node struct {
	t      testing.TB
	server *Server

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced when something is told
	multicast map[netip.Prefix]engine.MRIBRoute
	unicast   map[netip.Prefix]engine.MRIBRoute
	states    map[netip.Addr][]string // of the sessions, in the order in which they were told
}

// start starts a Server with a bgp section, which is indented by two spaces.
func start(t testing.TB, section string) *node {
	t.Helper()
	testneed.Root(t)
	n := &node{
		t: t, changed: make(chan struct{}), multicast: make(map[netip.Prefix]engine.MRIBRoute),
		unicast: make(map[netip.Prefix]engine.MRIBRoute), states: make(map[netip.Addr][]string),
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	var err error
	if n.server, err = New(parse(t, section), logrus.NewEntry(log), n.hear); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	return n
}

// stop stops the server. It may be called again.
func (n *node) stop() {
	if n.server != nil {
		n.server.Stop()
		n.server = nil
	}
}

func parse(t testing.TB, section string) *config.BGP {
	t.Helper()
	cfg, err := config.Parse("test", []byte("hostname: r\nbgp:\n"+section))
	if err != nil {
		t.Fatal(err)
	}
	return cfg.BGP
}

func (n *node) configure(section string) {
	n.t.Helper()
	cfg := parse(n.t, section)
	if n.server.Restarts(cfg) {
		n.t.Fatal("the new configuration needs a new Server")
	}
	if err := n.server.Configure(cfg); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) hear(news News) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, of := range []struct {
		table map[netip.Prefix]engine.MRIBRoute
		list  []engine.MRIBRoute
	}{{n.multicast, news.Multicast}, {n.unicast, news.Unicast}} {
		for _, r := range of.list {
			if r.Gone {
				delete(of.table, r.Prefix)
			} else {
				of.table[r.Prefix] = r
			}
		}
	}
	for _, t := range news.Transitions {
		n.states[t.Neighbor] = append(n.states[t.Neighbor], t.New)
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

// becomes waits until what f says is want. It looks whenever something is told, and now and then: not all is.
func (n *node) becomes(what, want string, f func() string) {
	n.t.Helper()
	becomes(n.t, what, want, f, func() <-chan struct{} {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.changed
	})
}

func becomes(t testing.TB, what, want string, f func() string, news func() <-chan struct{}) {
	t.Helper()
	end := time.NewTimer(30 * time.Second)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		changed := news()
		got := f()
		if got == want {
			return
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-end.C:
			t.Fatalf("%s:\ngot  %q\nwant %q", what, got, want)
		}
	}
}

func (n *node) neighbor(address string) show.Neighbor {
	n.t.Helper()
	answer, err := n.server.Query("neighbors", address)
	if err != nil {
		n.t.Fatal(err)
	}
	return answer.([]show.Neighbor)[0]
}

// table lists the routes of a family as lines: "10.0.0.0/8 via 10.0.0.2 path 65002 pref 100 med 5 65002:1 igp best".
func (n *node) table(family string) string {
	n.t.Helper()
	answer, err := n.server.Query("routes", family)
	if err != nil {
		n.t.Fatal(err)
	}
	var lines []string
	for _, r := range answer.([]show.Route) {
		lines = append(lines, routeText(r))
	}
	return strings.Join(lines, "\n")
}

func routeText(r show.Route) string {
	text := r.Prefix.String()
	if r.Ours {
		text += " ours"
	} else {
		text += fmt.Sprintf(" via %v", r.NextHop)
	}
	if r.ASPath != "" {
		text += " path " + r.ASPath
	}
	if r.LocalPreference != nil {
		text += fmt.Sprint(" pref ", *r.LocalPreference)
	}
	if r.MED != nil {
		text += fmt.Sprint(" med ", *r.MED)
	}
	for _, c := range r.Communities {
		text += " " + c
	}
	if r.Stale {
		text += " stale"
	}
	if !r.Best {
		text += " not best"
	}
	return text
}

// told lists the multicast routes that were told, as "10.0.0.0/8 via 10.0.0.2".
func (n *node) told() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var lines []string
	for p, r := range n.multicast {
		lines = append(lines, fmt.Sprintf("%v via %v", p, r.Hops[0].Gateway))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// speaker is the far end of a session, written by hand: it says what a test wants it to say, and remembers what it heard.
type speaker struct {
	t    testing.TB
	conn net.Conn
	done chan struct{}

	mu      sync.Mutex
	changed chan struct{}
	open    *bgp.BGPOpen // the other's
	heard   map[string]string
	updates int
	end     *bgp.BGPNotification // that ended the session
}

// manner is how a speaker is.
type manner struct {
	from, to string // addresses; "" is 10.0.0.2 and 10.0.0.1
	as       uint32 // 0 is 65002
	families []bgp.Family
	restart  int // seconds, in the capability of graceful restart; 0: without
	back     bool
}

var ipv4Families = []bgp.Family{bgp.RF_IPv4_UC, bgp.RF_IPv4_MC}

// dial opens a session. The other end waits for it (passive).
func dial(t testing.TB, m manner) *speaker {
	t.Helper()
	if m.from == "" {
		m.from = "10.0.0.2"
	}
	if m.to == "" {
		m.to = "10.0.0.1"
	}
	if m.as == 0 {
		m.as = 65002
	}
	if m.families == nil {
		m.families = ipv4Families
	}
	s := &speaker{t: t, done: make(chan struct{}), changed: make(chan struct{}), heard: make(map[string]string)}
	for begin := time.Now(); ; {
		// The neighbor may be idle yet: it closes what comes then.
		err := s.try(m)
		if err == nil {
			break
		}
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("no session from %v: %v", m.from, err)
		}
	}
	go s.listen()
	t.Cleanup(s.hangUp)
	return s
}

// try tries once to open a session.
func (s *speaker) try(m manner) error {
	from := netip.MustParseAddr(m.from)
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: 10 * time.Second}
	conn, err := dialer.Dial("tcp", net.JoinHostPort(m.to, "179"))
	if err != nil {
		return err
	}
	s.conn = conn
	if err = s.greet(m, from); err != nil {
		conn.Close()
	}
	return err
}

// greet sends an OPEN and a KEEPALIVE, and takes the other's.
func (s *speaker) greet(m manner, id netip.Addr) error {
	capabilities := []bgp.ParameterCapabilityInterface{bgp.NewCapRouteRefresh(), bgp.NewCapFourOctetASNumber(m.as)}
	var tuples []*bgp.CapGracefulRestartTuple
	for _, f := range m.families {
		capabilities = append(capabilities, bgp.NewCapMultiProtocol(f))
		tuples = append(tuples, bgp.NewCapGracefulRestartTuple(f, m.back))
	}
	if m.restart > 0 {
		capabilities = append(capabilities, bgp.NewCapGracefulRestart(m.back, false, uint16(m.restart), tuples))
	}
	if id.Is6() {
		id = netip.AddrFrom4([4]byte{10, 6, 0, id.As16()[15]})
	}
	open, err := bgp.NewBGPOpenMessage(uint16(min(m.as, bgp.AS_TRANS)), 0, id,
		[]bgp.OptionParameterInterface{bgp.NewOptionParameterCapability(capabilities)})
	if m.as <= 0xffff {
		open, err = bgp.NewBGPOpenMessage(uint16(m.as), 0, id, []bgp.OptionParameterInterface{bgp.NewOptionParameterCapability(capabilities)})
	}
	if err != nil {
		return err
	}
	s.conn.SetDeadline(time.Now().Add(10 * time.Second))
	defer s.conn.SetDeadline(time.Time{})
	if err := s.write(open); err != nil {
		return err
	}
	for s.open == nil {
		msg, err := s.read()
		if err != nil {
			return err
		}
		switch body := msg.Body.(type) {
		case *bgp.BGPOpen:
			s.open = body
		case *bgp.BGPNotification:
			return fmt.Errorf("notification %d/%d", body.ErrorCode, body.ErrorSubcode)
		}
	}
	return s.write(bgp.NewBGPKeepAliveMessage())
}

func (s *speaker) write(msg *bgp.BGPMessage) error {
	b, err := msg.Serialize()
	if err != nil {
		return err
	}
	_, err = s.conn.Write(b)
	return err
}

func (s *speaker) read() (*bgp.BGPMessage, error) {
	head := make([]byte, bgp.BGP_HEADER_LENGTH)
	if _, err := io.ReadFull(s.conn, head); err != nil {
		return nil, err
	}
	b := append(head, make([]byte, max(0, int(binary.BigEndian.Uint16(head[16:]))-len(head)))...)
	if _, err := io.ReadFull(s.conn, b[len(head):]); err != nil {
		return nil, err
	}
	return bgp.ParseBGPMessage(b)
}

// listen takes what the other says until the session ends.
func (s *speaker) listen() {
	defer close(s.done)
	for {
		msg, err := s.read()
		s.mu.Lock()
		if err == nil {
			switch body := msg.Body.(type) {
			case *bgp.BGPUpdate:
				s.updates++
				s.note(body)
			case *bgp.BGPNotification:
				s.end = body
			}
		}
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// note remembers the routes of an UPDATE, as "65001 next 10.0.0.1 pref 100 med 5 65001:1", by family and prefix.
func (s *speaker) note(u *bgp.BGPUpdate) {
	text, next := "", netip.Addr{}
	var routes []string
	for _, attr := range u.PathAttributes {
		switch a := attr.(type) {
		case *bgp.PathAttributeOrigin:
			text += " " + originNames[a.Value]
		case *bgp.PathAttributeAsPath:
			text += " path " + bgp.AsPathString(a)
		case *bgp.PathAttributeNextHop:
			next = a.Value
		case *bgp.PathAttributeMultiExitDisc:
			text += fmt.Sprint(" med ", a.Value)
		case *bgp.PathAttributeLocalPref:
			text += fmt.Sprint(" pref ", a.Value)
		case *bgp.PathAttributeCommunities:
			for _, c := range a.Value {
				text += " " + communityText(c)
			}
		case *bgp.PathAttributeMpReachNLRI:
			next = a.Nexthop
			for _, n := range a.Value {
				routes = append(routes, fmt.Sprint(bgp.NewFamily(a.AFI, a.SAFI), " ", n.NLRI))
			}
		case *bgp.PathAttributeMpUnreachNLRI:
			for _, n := range a.Value {
				delete(s.heard, fmt.Sprint(bgp.NewFamily(a.AFI, a.SAFI), " ", n.NLRI))
			}
		}
	}
	for _, n := range u.NLRI {
		routes = append(routes, fmt.Sprint(bgp.RF_IPv4_UC, " ", n.NLRI))
	}
	for _, n := range u.WithdrawnRoutes {
		delete(s.heard, fmt.Sprint(bgp.RF_IPv4_UC, " ", n.NLRI))
	}
	for _, r := range routes {
		s.heard[r] = fmt.Sprintf("next %v%s", next, text)
	}
}

// hears waits until the routes that the speaker was told are these, a line each, in order.
func (s *speaker) hears(what string, want ...string) {
	s.t.Helper()
	slices.Sort(want)
	becomes(s.t, what, strings.Join(want, "\n"), func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		var lines []string
		for r, text := range s.heard {
			lines = append(lines, r+" "+text)
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}, s.news)
}

func (s *speaker) news() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// ended waits until the other ends the session, and returns the NOTIFICATION as "6/3", "" without one.
func (s *speaker) ended() string {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		s.t.Fatal("the session did not end")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.end.ErrorCode, s.end.ErrorSubcode)
}

// hangUp closes the connection without a word, as a speaker that dies does.
func (s *speaker) hangUp() {
	s.conn.Close()
	<-s.done
}

// offer is a route as a speaker announces it.
type offer struct {
	prefixes    []string
	multicast   bool
	next        string   // "" is 10.0.0.2, or 2001:db8::2
	path        []uint32 // nil is 65002
	set         []uint32 // an AS_SET behind it
	med         int      // -1: none
	pref        uint32   // 0: none
	communities []string
	origin      uint8
	raw         []bgp.PathAttributeInterface // more
}

func (o offer) family() bgp.Family {
	p := netip.MustParsePrefix(o.prefixes[0])
	f := families[config.FamilyOfRoute(p, o.multicast)]
	return f
}

func (o offer) nlri(t testing.TB) (list []bgp.PathNLRI) {
	for _, text := range o.prefixes {
		n, err := bgp.NewIPAddrPrefix(netip.MustParsePrefix(text))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, bgp.PathNLRI{NLRI: n})
	}
	return list
}

// announce announces routes, and withdraw withdraws them.
func (s *speaker) announce(o offer) {
	s.t.Helper()
	if err := s.write(o.update(s.t)); err != nil {
		s.t.Fatal(err)
	}
}

func (o offer) update(t testing.TB) *bgp.BGPMessage {
	t.Helper()
	next := o.next
	if next == "" {
		next = "10.0.0.2"
		if o.family() == bgp.RF_IPv6_UC || o.family() == bgp.RF_IPv6_MC {
			next = "2001:db8::2"
		}
	}
	if o.path == nil {
		o.path = []uint32{65002}
	}
	var segments []bgp.AsPathParamInterface
	if len(o.path) > 0 {
		segments = append(segments, bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, o.path))
	}
	if len(o.set) > 0 {
		segments = append(segments, bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SET, o.set))
	}
	reach, err := bgp.NewPathAttributeMpReachNLRI(o.family(), o.nlri(t), netip.MustParseAddr(next))
	if err != nil {
		t.Fatal(err)
	}
	attrs := []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(o.origin), bgp.NewPathAttributeAsPath(segments), reach}
	if o.med >= 0 {
		attrs = append(attrs, bgp.NewPathAttributeMultiExitDisc(uint32(o.med)))
	}
	if o.pref > 0 {
		attrs = append(attrs, bgp.NewPathAttributeLocalPref(o.pref))
	}
	if len(o.communities) > 0 {
		var values []uint32
		for _, c := range o.communities {
			values = append(values, community(c))
		}
		attrs = append(attrs, bgp.NewPathAttributeCommunities(values))
	}
	return bgp.NewBGPUpdateMessage(nil, append(attrs, o.raw...), nil)
}

func (s *speaker) withdraw(o offer) {
	s.t.Helper()
	unreach, err := bgp.NewPathAttributeMpUnreachNLRI(o.family(), o.nlri(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.write(bgp.NewBGPUpdateMessage(nil, []bgp.PathAttributeInterface{unreach}, nil)); err != nil {
		s.t.Fatal(err)
	}
}

// endOfRIB says that all routes of a family are told (RFC 4724, section 2).
func (s *speaker) endOfRIB(families ...bgp.Family) {
	s.t.Helper()
	for _, f := range families {
		if err := s.write(bgp.NewEndOfRib(f)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// received says how many routes of a family a neighbor announced, whatever became of them.
func received(n *node, neighbor, family string) string {
	for _, f := range n.neighbor(neighbor).Families {
		if f.Name == family {
			return fmt.Sprint(f.Received)
		}
	}
	return "family " + family + " is not there"
}
