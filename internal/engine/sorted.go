package engine

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// SortedFunc ranges over m in the order of its keys by compare. It works on the keys that m had at the start: entries
// deleted meanwhile are passed over, entries added meanwhile are not seen.
func SortedFunc[K comparable, V any](m map[K]V, compare func(a, b K) int) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		keys := make([]K, 0, len(m))
		for k := range m {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, compare)
		for _, k := range keys {
			if v, ok := m[k]; ok && !yield(k, v) {
				return
			}
		}
	}
}

// Sorted is SortedFunc for keys with a natural order.
func Sorted[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] { return SortedFunc(m, cmp.Compare[K]) }

// SortedAddrs is SortedFunc for addresses.
func SortedAddrs[V any](m map[netip.Addr]V) iter.Seq2[netip.Addr, V] {
	return SortedFunc(m, netip.Addr.Compare)
}

// SortedKeys is SortedFunc for forwarding keys.
func SortedKeys[V any](m map[Key]V) iter.Seq2[Key, V] { return SortedFunc(m, Key.Compare) }
