package api

import (
	"context"
	"time"

	"grove/internal/engine"
)

// Schema is the version of the schema, in every response.
const Schema = "grove/v1"

// Router is a router as the API sees it. Its methods may be called at any time, from many goroutines at once.
type Router interface {
	// Query asks a machine, as engine.Query does; the value is of the type that the package's show.go gives for what.
	Query(ctx context.Context, id engine.MachineID, what, arg string) (any, error)
	// Watch streams events until ctx ends; then the channel is closed. Events from its return on are streamed. A reader
	// that is too slow misses some, and is told how many.
	Watch(ctx context.Context) (<-chan Event, error)
	// InterfaceName returns the name of an interface, also of one that is gone; "" for 0.
	InterfaceName(id engine.IfID) string
	// Status says what runs.
	Status() Status
}

// Status is what a router says of itself.
type Status struct {
	Hostname  string
	Version   string // of grove
	Uptime    time.Duration
	TimeScale float64
	Table     uint32
	Machines  []engine.MachineID
}

// Event is an event of Watch.
type Event struct {
	Time   time.Time
	Effect engine.Effect // engine.Transition or engine.Note
	Lost   uint64        // events that this reader missed before this one
}
