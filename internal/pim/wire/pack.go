package wire

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// MaxMessage returns how many bytes of PIM fit into a packet of an interface's MTU that carries no IP options, in the
// family of a.
func MaxMessage(mtu int, a netip.Addr) int {
	if a.Is4() {
		return mtu - ipv4HeaderLen
	}
	return mtu - ipv6HeaderLen
}

// Size returns the length of the encoded message, the PIM header included.
func (m *JoinPrune) Size() int {
	n := messageSize(m.Upstream)
	for i := range m.Groups {
		n += m.Groups[i].Size()
	}
	return n
}

// Size returns how much longer the set makes a message.
func (g *GroupSet) Size() int {
	n := setSize(g.Group.Addr)
	return n + (len(g.Joined)+len(g.Pruned))*sourceSize(g.Group.Addr)
}

func messageSize(a netip.Addr) int { return headerLen + 2 + a.BitLen()/8 + 4 } // without groups
func setSize(a netip.Addr) int     { return 4 + a.BitLen()/8 + 4 }             // without sources
func sourceSize(a netip.Addr) int  { return 4 + a.BitLen()/8 }

// Pack makes Join/Prune messages to upstream, each of at most limit bytes (see MaxMessage), that say all that groups
// say, in that order and in as few messages as keep a group whole where that is possible (RFC 7761 section 4.9.5.2).
// There must be one set for each group. A set that does not fit into a message goes out in pieces, except that the
// (S,G,rpt) prunes stay beside their (*,G) join: of those that do not fit, the numerically largest are left out.
func Pack(upstream netip.Addr, holdtime time.Duration, groups []GroupSet, limit int) ([]*JoinPrune, error) {
	if limit < messageSize(upstream)+setSize(upstream)+sourceSize(upstream) {
		return nil, fmt.Errorf("pim: join/prune: limit of %d bytes: %w", limit, ErrRange)
	}
	p := packer{upstream: upstream, holdtime: holdtime, limit: limit}
	for i := range groups {
		p.add(groups[i])
	}
	return p.messages, nil
}

// PackGraft is Pack for a Graft message (RFC 3973 section 4.7.8).
func PackGraft(upstream netip.Addr, groups []GroupSet, limit int) ([]*Graft, error) {
	packed, err := Pack(upstream, 0, groups, limit)
	var messages []*Graft
	for _, m := range packed {
		messages = append(messages, (*Graft)(m))
	}
	return messages, err
}

type packer struct {
	upstream netip.Addr
	holdtime time.Duration
	limit    int
	messages []*JoinPrune
	left     int // bytes left in the last message
}

// maxList is the longest list of sources that the format allows.
const maxList = 0xffff

// add adds one set, whole if it fits into a message.
func (p *packer) add(g GroupSet) {
	if g.Size() <= p.limit-messageSize(p.upstream) && len(g.Joined) <= maxList && len(g.Pruned) <= maxList {
		p.put(g)
		return
	}
	g = p.addShared(g)
	for len(g.Joined)+len(g.Pruned) > 0 {
		room := p.room()
		if room == 0 {
			p.flush()
			room = p.room()
		}
		piece := GroupSet{Group: g.Group}
		piece.Joined, g.Joined = cut(g.Joined, room)
		piece.Pruned, g.Pruned = cut(g.Pruned, room-len(piece.Joined))
		p.put(piece)
	}
}

// addShared adds the part of a set that must not be split, if there is one: a (*,G) join with its (S,G,rpt) prunes. It
// returns the rest.
func (p *packer) addShared(g GroupSet) GroupSet {
	join := slices.IndexFunc(g.Joined, Source.IsStarG)
	if join < 0 {
		return g
	}
	shared, rest := GroupSet{Group: g.Group}, GroupSet{Group: g.Group}
	shared.Joined = []Source{g.Joined[join]}
	rest.Joined = slices.Delete(slices.Clone(g.Joined), join, join+1)
	for _, s := range g.Pruned {
		if s.IsSGRpt() {
			shared.Pruned = append(shared.Pruned, s)
		} else {
			rest.Pruned = append(rest.Pruned, s)
		}
	}
	slices.SortStableFunc(shared.Pruned, func(a, b Source) int { return a.Addr.Compare(b.Addr) })
	most := (p.limit-messageSize(p.upstream)-setSize(p.upstream))/sourceSize(p.upstream) - 1
	shared.Pruned, _ = cut(shared.Pruned, most)
	p.put(shared)
	return rest
}

// room returns how many sources a new set in the last message may have.
func (p *packer) room() int { return max(0, p.left-setSize(p.upstream)) / sourceSize(p.upstream) }

// put adds a set that fits into an empty message to the last message, or to a new one.
func (p *packer) put(g GroupSet) {
	if n := len(p.messages); n == 0 || g.Size() > p.left || len(p.messages[n-1].Groups) == 0xff {
		p.flush()
	}
	m := p.messages[len(p.messages)-1]
	m.Groups = append(m.Groups, g)
	p.left -= g.Size()
}

func (p *packer) flush() {
	p.messages = append(p.messages, &JoinPrune{Upstream: p.upstream, Holdtime: p.holdtime})
	p.left = p.limit - messageSize(p.upstream)
}

// cut takes at most n sources off the list, and no more than a set may have.
func cut(list []Source, n int) (head, tail []Source) {
	n = min(n, len(list), maxList)
	return list[:n:n], list[n:]
}
