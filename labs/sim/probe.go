package sim

import (
	"net/netip"

	"grove/internal/engine"
	"grove/internal/probe"
)

// Flow is what a member received of one source.
type Flow struct {
	Source, Group netip.Addr
	probe.Flow
}

// Key returns (S,G).
func (f *Flow) Key() engine.Key { return engine.SG(f.Source, f.Group) }
