package host

import (
	"context"
	"sync"
	"time"

	"grove/internal/engine"
)

// Event is something that happened, for those who watch: a Transition or a Note of a machine.
type Event struct {
	Time      time.Time
	Interface string        // the name of the effect's interface; empty if it has none
	Effect    engine.Effect // engine.Transition or engine.Note
	Lost      uint64        // events that were dropped before this one because the watcher was slow
}

// watchBuffer is how far a watcher may lag behind.
const watchBuffer = 4096

type watchers struct {
	mu   sync.Mutex
	all  map[*watcher]struct{}
	over bool // the host has ended
}

type watcher struct {
	events chan Event
	lost   uint64
}

// Watch returns the events from now on. The channel is closed when ctx or the host ends. A watcher that does not keep
// up loses events, and is told how many.
func (h *Host) Watch(ctx context.Context) <-chan Event {
	w := &watcher{events: make(chan Event, watchBuffer)}
	h.watchers.mu.Lock()
	defer h.watchers.mu.Unlock()
	if h.watchers.over {
		close(w.events)
		return w.events
	}
	h.watchers.all[w] = struct{}{}
	context.AfterFunc(ctx, func() {
		h.watchers.mu.Lock()
		defer h.watchers.mu.Unlock()
		h.watchers.end(w)
	})
	return w.events
}

func (ws *watchers) end(w *watcher) {
	if _, there := ws.all[w]; there {
		delete(ws.all, w)
		close(w.events)
	}
}

// publish hands an event to all who watch.
func (h *Host) publish(e Event) {
	h.watchers.mu.Lock()
	defer h.watchers.mu.Unlock()
	for w := range h.watchers.all {
		e.Lost = w.lost
		select {
		case w.events <- e:
			w.lost = 0
		default:
			w.lost++
		}
	}
}

// endWatching closes all channels.
func (h *Host) endWatching() {
	h.watchers.mu.Lock()
	defer h.watchers.mu.Unlock()
	h.watchers.over = true
	for w := range h.watchers.all {
		h.watchers.end(w)
	}
}
