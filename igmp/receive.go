package igmp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"grove/igmp/wire"
	"grove/internal/engine"
)

// dropped is why a packet was dropped: the fixed words under which it is counted.
type dropped string

func (d dropped) Error() string { return string(d) }

// The reasons, other than those of package wire.
const (
	unknownInterface = dropped("unknown interface")
	notEnabled       = dropped("not enabled on interface")
	wrongProtocol    = dropped("wrong protocol number")
	wrongTTL         = dropped("TTL is not 1")
	noRouterAlert    = dropped("no router alert")
	wrongSource      = dropped("source is not of this link")
	wrongDestination = dropped("wrong destination")
	notMulticast     = dropped("group is not multicast")
	noGroup          = dropped("query for sources of no group")
	noSuchSource     = dropped("source is not unicast")
	unknownRecord    = dropped("unknown record type")
	newerVersion     = dropped("report of a newer version")
	groupLimit       = dropped("group limit")
)

// wireReasons names the sentinels of package wire as they are counted.
var wireReasons = []struct {
	err    error
	reason dropped
}{
	{wire.ErrTruncated, "truncated"},
	{wire.ErrChecksum, "bad checksum"},
	{wire.ErrType, "unknown message type"},
	{wire.ErrLength, "query of no version's length"},
}

// dvmrpType is the IGMP type of all messages of DVMRP, a protocol of its own.
const dvmrpType = 0x13

// receive is given every packet of the protocol.
func (m *Machine) receive(now time.Time, p engine.Packet) {
	if p.Proto == engine.ProtoIGMP && len(p.Payload) > 0 && p.Payload[0] == dvmrpType {
		return // another machine's: nothing was dropped
	}
	i := m.ifaces[p.If]
	switch {
	case i == nil && m.interfaces[p.If] == nil:
		m.drop(p, unknownInterface, unknownInterface)
		return
	case i == nil:
		m.drop(p, notEnabled, notEnabled)
		return
	}
	msg, err := m.family.parse(p, i.state)
	if err == nil {
		err = i.receive(now, p, msg)
	}
	if err != nil {
		m.drop(p, reason(err), err)
	}
}

// reason returns the words under which an error is counted.
func reason(err error) dropped {
	var d dropped
	if errors.As(err, &d) {
		return d
	}
	for _, w := range wireReasons {
		if errors.Is(err, w.err) {
			return w.reason
		}
	}
	return "other"
}

// drop counts a bad packet. Message types that are not ours are no fault of anybody's (RFC 3376 section 4): they are
// counted without a Note.
func (m *Machine) drop(p engine.Packet, why dropped, err error) {
	m.counts.Add("dropped: " + string(why))
	if errors.Is(err, wire.ErrType) {
		return
	}
	m.emit(engine.Note{From: m.id, Level: engine.Debug, If: p.If, Neighbor: p.Src, Text: fmt.Sprintf("packet to %v dropped: %v", p.Dst, err)})
}

// parse decodes a packet and judges what routers and hosts judge alike: its IP header and its group.
func (f *family) parse(p engine.Packet, state *engine.Interface) (wire.Message, error) {
	if p.Proto != f.proto || engine.FamilyOf(p.Dst) != f.Family || engine.FamilyOf(p.Src) != f.Family {
		return nil, wrongProtocol
	}
	msg, err := wire.Parse(p.Payload, wire.Ends{Src: p.Src, Dst: p.Dst})
	if err != nil {
		return nil, err
	}
	// Every message is sent with TTL 1: one with another came from afar.
	if p.TTL != 1 {
		return nil, wrongTTL
	}
	dst, group := f.reports, netip.Addr{}
	alert := true
	switch msg := msg.(type) {
	case wire.Query:
		dst, group = f.allSystems, msg.Group
		if msg.General() && len(msg.Sources) > 0 {
			return nil, noGroup
		}
		alert = msg.Version+f.offset > plain // RFC 3376 section 9.1
	case wire.OlderReport:
		dst, group = msg.Group, msg.Group
		// RFC 3376 section 9.2: IGMPv1 hosts and early IGMPv2 hosts do not send Router Alert.
		alert = f.Family == engine.IPv6
	case wire.Leave:
		dst, group = f.allRouters, msg.Group
		alert = f.Family == engine.IPv6
	}
	if alert && !p.RouterAlert {
		return nil, noRouterAlert
	}
	if group.IsValid() && !group.IsMulticast() {
		return nil, notMulticast
	}
	// RFC 3376 sections 4.1.12, 4.2.14 and 9.1, RFC 2236 section 3: the destination is the one of the message's kind,
	// the group itself, or any address of ours.
	if p.Dst != dst && p.Dst != group && !state.HasAddr(p.Dst) {
		return nil, wrongDestination
	}
	// RFC 3810 sections 5.1.14 and 5.2.13.
	if f.Family == engine.IPv6 && !p.Src.IsLinkLocalUnicast() {
		return nil, wrongSource
	}
	return msg, nil
}

// onLink judges the source of an IGMP message: a router accepts a host that has no address yet (RFC 3376 section 4.2.13)
// and otherwise an address of the subnet (section 9.2).
func (i *iface) onLink(src netip.Addr, msg wire.Message) bool {
	if src.IsUnspecified() {
		_, query := msg.(wire.Query)
		return !query
	}
	return src.Is6() || i.state.PointToPoint || i.state.OnLink(src)
}

// receive handles a message that was judged good.
func (i *iface) receive(now time.Time, p engine.Packet, msg wire.Message) error {
	m := i.m
	if !i.onLink(p.Src, msg) {
		return wrongSource
	}
	switch msg := msg.(type) {
	case wire.Query:
		m.counts.Add("query received")
		if !i.state.HasAddr(p.Src) {
			i.receiveQuery(now, p.Src, msg)
		}
	case wire.OlderReport:
		m.counts.Add("report of an older version received")
		return i.receiveOlder(now, msg)
	case wire.Leave:
		m.counts.Add("leave received")
		i.receiveLeave(now, msg)
	case wire.Report:
		m.counts.Add("report received")
		return i.receiveReport(now, msg)
	}
	return nil
}

// receiveQuery handles another router's Query: the election, and the timers that it asks to lower.
func (i *iface) receiveQuery(now time.Time, from netip.Addr, msg wire.Query) {
	i.warnVersion(now, from, msg)
	i.hearQuerier(now, from, msg)
	if msg.General() || msg.Suppress {
		return
	}
	g := i.groups[msg.Group]
	if g == nil {
		return
	}
	// The asking router's Last Member Query Interval is the Max Resp Time of what it sends (RFC 2236 section 3, RFC
	// 2710 section 4).
	interval := msg.MaxResp
	if interval == 0 {
		interval = i.cfg.LastMemberQueryInterval
	}
	g.lower(setOf(msg.Sources), now.Add(i.lmqt(interval)))
}

// warnVersion warns, at most once per Query Interval, that routers of different versions share the link (RFC 3376
// section 7.3.1, RFC 3810 section 8.3.1): the administrator has to configure the lowest on all.
func (i *iface) warnVersion(now time.Time, from netip.Addr, msg wire.Query) {
	q := &i.querier
	generation := msg.Version + i.m.family.offset
	if generation == i.generation || !msg.General() && generation < i.generation || !q.warned.IsZero() && now.Sub(q.warned) < i.cfg.QueryInterval {
		return
	}
	q.warned = now
	i.m.emit(engine.Note{
		From: i.m.id, Level: engine.Warning, If: i.state.ID, Neighbor: from,
		Text: fmt.Sprintf("%s Query received, but %s is configured: all routers of a link need the same version", i.m.family.version(generation), i.m.family.version(i.generation)),
	})
}

// receiveOlder handles a report without sources: IS_EX({}) (RFC 3376 section 7.3.2).
func (i *iface) receiveOlder(now time.Time, msg wire.OlderReport) error {
	if i.m.family.unrouted(msg.Group) {
		return nil
	}
	g, err := i.admit(msg.Group)
	if err != nil {
		return err
	}
	if i.generation > plain { // a router of IGMPv1 knows no Leave that it would have to ignore
		g.hearOlder(now, msg.Version+i.m.family.offset)
	}
	g.receive(now, wire.IsEx, nil)
	return nil
}

// receiveLeave handles a Leave: TO_IN({}) (RFC 3376 section 7.3.2).
func (i *iface) receiveLeave(now time.Time, msg wire.Leave) {
	// A router of IGMPv1 ignores it (RFC 3376 section 7.3.1), and so does one that is not the Querier (RFC 2236 section
	// 3, RFC 2710 section 4).
	g := i.groups[msg.Group]
	if g == nil || i.generation == plain || !i.querier.elected {
		return
	}
	g.receive(now, wire.ToIn, nil)
}

// receiveReport handles the records of a report one by one: a bad one does not spoil the others.
func (i *iface) receiveReport(now time.Time, msg wire.Report) error {
	if i.generation < withSources {
		// RFC 3376 section 7.3.1: the router acts as one of the older version, which ignores types that it does not
		// know (RFC 2236 section 2.1). Hosts fall back on hearing its Queries.
		return newerVersion
	}
	var bad error
	for n, rec := range msg.Records {
		if err := i.receiveRecord(now, rec); err != nil && bad == nil {
			bad = fmt.Errorf("record %d, %v of %v: %w", n, rec.Type, rec.Group, err)
		} else if err != nil {
			i.m.counts.Add("dropped: " + string(reason(err)))
		}
	}
	return bad
}

func (i *iface) receiveRecord(now time.Time, rec wire.Record) error {
	f := i.m.family
	switch {
	case rec.Type < wire.IsIn || rec.Type > wire.Block:
		return unknownRecord // RFC 3376 section 4.2.12
	case !rec.Group.IsMulticast():
		return notMulticast
	case f.unrouted(rec.Group):
		return nil
	}
	var bad error
	sources := setOf(rec.Sources)
	for _, s := range sources {
		if !f.source(s) {
			bad = noSuchSource
		}
	}
	if bad != nil {
		sources = i.keepSources(sources)
	}
	g := i.groups[rec.Group]
	if g == nil {
		// Nobody can leave what nobody joined.
		if rec.Type == wire.Block || rec.Type != wire.IsEx && rec.Type != wire.ToEx && len(sources) == 0 {
			return bad
		}
		var err error
		if g, err = i.admit(rec.Group); err != nil {
			return err
		}
	}
	g.receive(now, rec.Type, sources)
	return bad
}

// keepSources returns the addresses that can be a source.
func (i *iface) keepSources(list set) set {
	var out set
	for _, s := range list {
		if i.m.family.source(s) {
			out = append(out, s)
		}
	}
	return out
}

// admit returns the record of a group that someone joins, within the limit.
func (i *iface) admit(addr netip.Addr) (*group, error) {
	if i.groups[addr] == nil && len(i.groups) >= i.cfg.MaxGroups {
		return nil, groupLimit
	}
	return i.group(addr), nil
}
