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
	// Status says what runs.
	Status(ctx context.Context) (Status, error)
}

// Status is what a router says of itself.
type Status struct {
	Hostname  string
	Version   string // of grove
	Uptime    time.Duration
	TimeScale float64
	Table     uint32
	Machines  []engine.MachineID
	Counts    map[string]uint64 // of the router around the machines: sockets, queues
}

// Event is an event of Watch.
type Event struct {
	Time      time.Time
	Interface string        // the name of the effect's interface; "" if it has none
	Effect    engine.Effect // engine.Transition or engine.Note
	Lost      uint64        // events that this reader missed before this one
}
