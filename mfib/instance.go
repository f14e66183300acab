package mfib

import (
	"time"

	"grove/internal/engine"
)

// Machine is the forwarding table of one family and kernel table.
type Machine struct{ id engine.MachineID }

// New returns an empty table.
func New(id engine.MachineID) *Machine { return &Machine{id: id} }

// Deadline implements engine.Machine.
func (m *Machine) Deadline() (time.Time, bool) { return time.Time{}, false }

// Step implements engine.Machine.
func (m *Machine) Step(now time.Time, ev engine.Event) []engine.Effect { return nil }
