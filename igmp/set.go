package igmp

import (
	"net/netip"
	"slices"
)

// set is a set of addresses: sorted, each once.
type set []netip.Addr

// setOf makes a set of a list, which it leaves alone. A list that is a set already is not copied.
func setOf(list []netip.Addr) set {
	sorted := true
	for i := 1; i < len(list) && sorted; i++ {
		sorted = list[i-1].Less(list[i])
	}
	if sorted {
		return list
	}
	s := slices.Clone(list)
	slices.SortFunc(s, netip.Addr.Compare)
	return slices.Compact(s)
}

// merge walks two sets in order and keeps what is only in a, in both, or only in b, as asked.
func merge(a, b set, onlyA, both, onlyB bool) set {
	var out set
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Less(b[0]):
			if onlyA {
				out = append(out, a[0])
			}
			a = a[1:]
		case len(a) == 0 || b[0].Less(a[0]):
			if onlyB {
				out = append(out, b[0])
			}
			b = b[1:]
		default:
			if both {
				out = append(out, a[0])
			}
			a, b = a[1:], b[1:]
		}
	}
	return out
}

// The operations by the signs of the RFC (section 4.2.15): A+B, A*B, A-B.
func union(a, b set) set     { return merge(a, b, true, true, true) }
func intersect(a, b set) set { return merge(a, b, false, true, false) }
func minus(a, b set) set     { return merge(a, b, true, false, false) }
