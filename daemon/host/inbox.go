package host

import (
	"math"
	"sync"

	"grove/internal/engine"
)

// class is a kind of input with a bound of its own.
type class uint8

// The classes. A storm of one fills its own bound only: protocol packets are never dropped for upcalls.
const (
	control class = iota // packets of IGMP, MLD and the protocols
	alert                // upcalls without a packet: NOCACHE, WRONGVIF. A lost one costs its flow the kernel's 10 s
	whole                // upcalls with the packet
	flow                 // news of streams: their goroutines wait for the loop, so there are a few at most of each
	classes
)

var bounds = [classes]int{control: 8192, alert: 8192, whole: 2048, flow: math.MaxInt}

var classNames = [classes]string{"control packets", "upcalls", "whole-packet upcalls", "news of streams"}

// flowShare is how much news of streams a batch has at most. A piece may be 64 KiB of messages, and what they call for is to
// be done before many more are read: packets do not wait for longer than that.
const flowShare = 4

// inbox is the queue between the goroutines that read sockets and the loop. Control packets and whole packets keep the
// order of their arrival: whether a native packet or its Register came first decides whether a receiver gets it twice.
// Alerts, which say nothing that a later one would not, come behind them, but never less than a quarter of the time. Of
// streams a batch has a few pieces of news; as no stream has more than one chunk here, they take turns.
type inbox struct {
	ready chan struct{} // holds a token when there is something to take

	mu      sync.Mutex
	ordered []item // control and whole
	alerts  []item
	flows   []item
	waiting [classes]int
	taken   [classes]uint64
	dropped [classes]uint64
}

type item struct {
	class class
	to    engine.MachineID
	what  any // an engine.Event, or an arrival
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

// put appends items, as far as the bounds allow. What does not fit is dropped and counted.
func (b *inbox) put(items []item) {
	if len(items) == 0 {
		return
	}
	b.mu.Lock()
	for _, it := range items {
		if b.waiting[it.class] >= bounds[it.class] {
			b.dropped[it.class]++
			continue
		}
		b.waiting[it.class]++
		switch it.class {
		case alert:
			b.alerts = append(b.alerts, it)
		case flow:
			b.flows = append(b.flows, it)
		default:
			b.ordered = append(b.ordered, it)
		}
	}
	b.mu.Unlock()
	b.wake()
}

func (b *inbox) wake() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// take moves the first items, n at most, to into. If more are left, ready has a token again.
func (b *inbox) take(into []item, n int) []item {
	b.mu.Lock()
	before := len(into)
	flows := min(len(b.flows), flowShare)
	into = shift(into, &b.ordered, n-flows-min(len(b.alerts), n/4))
	into = shift(into, &b.alerts, n-flows-(len(into)-before))
	into = shift(into, &b.flows, flows)
	for _, it := range into[before:] {
		b.waiting[it.class]--
		b.taken[it.class]++
	}
	rest := len(b.ordered) + len(b.alerts) + len(b.flows)
	b.mu.Unlock()
	if rest > 0 {
		b.wake()
	}
	return into
}

// shift moves the first items of from, n at most, to into.
func shift(into []item, from *[]item, n int) []item {
	n = min(n, len(*from))
	into = append(into, (*from)[:n]...)
	rest := copy(*from, (*from)[n:])
	clear((*from)[rest:])
	*from = (*from)[:rest]
	return into
}

// count adds what was taken and dropped to the counters.
func (b *inbox) count(c *engine.Counts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, name := range classNames {
		c.AddN("received "+name, b.taken[k])
		c.AddN("dropped "+name+": queue full", b.dropped[k])
	}
}
