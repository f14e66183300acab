package autorp

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/autorp/wire"
)

// Env is what a Machine lends to AutoRP. Every field must be set.
type Env struct {
	Rand   *rand.Rand
	Timers *engine.Timers
	Counts *engine.Counts
	Emit   func(engine.Effect) // transitions
	// Owns says whether an address is one of this router's.
	Owns func(netip.Addr) bool
	// Send sends a message from src to a group, out of every interface where PIM runs.
	Send func(src, group netip.Addr, ttl uint8, data []byte)
	// Changed says that Mappings has another answer.
	Changed func()
}

// AutoRP is Auto-RP on one router.
type AutoRP struct {
	env        Env
	cfg        Config
	candidates []*candidate
	agent      agent
	listener   listener
}

// New returns an AutoRP that does nothing before it is configured.
func New(env Env) *AutoRP {
	a := &AutoRP{env: env, cfg: Config{}.withDefaults()}
	a.agent.init(a)
	a.listener.init(a)
	return a
}

// Configure changes to a new configuration.
func (a *AutoRP) Configure(now time.Time, c Config) {
	a.cfg = c.withDefaults()
	a.configureCandidates()
	a.agent.configure(now)
	a.listener.configure(now)
	a.AddressesChanged(now)
}

// AddressesChanged says that Owns has other answers.
func (a *AutoRP) AddressesChanged(now time.Time) {
	for _, c := range a.candidates {
		c.follow(now)
	}
	a.agent.follow(now)
}

// NeighborUp says that there is a PIM neighbor that has not heard what was said before.
func (a *AutoRP) NeighborUp(now time.Time) {
	for _, c := range a.candidates {
		if c.send.Running() {
			a.env.Timers.SetMin(&c.send, now.Add(c.cfg.Interval/newNeighborPart))
		}
	}
	if a.agent.send.Running() {
		a.env.Timers.SetMin(&a.agent.send, now.Add(a.cfg.Agent.Interval/newNeighborPart))
	}
}

// Parts of the interval between messages.
const (
	newNeighborPart = 20 // what a new neighbor has not heard is said again then: 3 s of a minute
	soonPart        = 60 // what there is to say first, and what changed, is said by then: 1 s of a minute
)

// soon returns when something new is said, at the latest.
func (a *AutoRP) soon(now time.Time, interval time.Duration) time.Time {
	return now.Add(time.Duration(a.env.Rand.Int64N(int64(max(interval, 0)/soonPart) + 1)))
}

// Receive takes a datagram to wire.Port, of src to a group. What is wrong is counted, and changes nothing.
func (a *AutoRP) Receive(now time.Time, src, group netip.Addr, data []byte) {
	if a.env.Owns(src) {
		return // our own, looped back: heard already
	}
	m, err := wire.Parse(data)
	switch {
	case err != nil:
		a.count(wire.Reason(err))
		return
	case !unicast(src):
		a.count("bad source")
		return
	case m.Type == wire.Announcement && group == wire.AnnounceGroup:
		a.count("received announcement")
		a.agent.announced(now, src, m)
	case m.Type == wire.Discovery && group == wire.DiscoveryGroup:
		a.count("received discovery")
		a.agent.hear(now, src, m)
		a.listener.hear(now, src, m)
	default:
		a.count("wrong group for the type")
	}
}

// say sends a message, and hears it.
func (a *AutoRP) say(now time.Time, src, group netip.Addr, ttl uint8, m *wire.Message) {
	data, err := m.Append(nil)
	if err != nil { // the configuration was not validated
		a.count("message that cannot be written")
		return
	}
	a.count("sent " + m.Type.String())
	a.env.Send(src, group, ttl, data)
	if m.Type == wire.Announcement {
		a.agent.announced(now, src, m)
	} else {
		a.listener.hear(now, src, m)
	}
}

// usable says whether a mapping of a message makes sense.
func (a *AutoRP) usable(rp netip.Addr, g wire.Group) bool {
	switch {
	case !unicast(rp):
		a.count("bad RP address")
	case !within(g.Prefix, allGroups):
		a.count("range that is not of groups")
	default:
		return true
	}
	return false
}

func (a *AutoRP) count(what string) { a.env.Counts.Add("auto-rp: " + what) }

var allGroups = netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4)

// unicast says whether an address can be a router's.
func unicast(a netip.Addr) bool {
	first := a.As4()[0]
	return !a.IsMulticast() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && first != 0 && first < 240
}

// wholeSeconds rounds a holdtime up to what a message can say.
func wholeSeconds(d time.Duration) time.Duration {
	return min((d + time.Second - 1).Truncate(time.Second), wire.MaxHoldtime)
}

// saying is of whom, and of which groups, something was said.
type saying struct {
	by     netip.Addr // the agent, or the RP
	groups netip.Prefix
}

// compareSayings orders by groups, shorter prefixes first, and then by address.
func compareSayings(a, b saying) int {
	return cmp.Or(comparePrefixes(a.groups, b.groups), a.by.Compare(b.by))
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// sortGroups sorts the ranges of an RP.
func sortGroups(list []wire.Group) {
	slices.SortFunc(list, func(a, b wire.Group) int { return comparePrefixes(a.Prefix, b.Prefix) })
}
