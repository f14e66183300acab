package sim

// eventKind says what an event does when its time comes.
type eventKind uint8

const (
	evArrive eventKind = iota // packet p reaches port who
	evWake                    // node who asked to be called
	evSource                  // source who sends its next packet
	evCall                    // calls[who] is called
)

// event is one entry of the heap, a value: nothing is allocated for it.
type event struct {
	at   int64  // nanoseconds since the start
	seq  uint64 // order among events of one instant: the order in which they were made
	p    *packet
	who  int32
	hop  int32 // evArrive: index of this transmission in Sim.hops, 0 if the packet is not traced
	aux  uint32
	kind eventKind
	ttl  uint8 // evArrive: the packet's TTL on the link
}

// eventHeap is a heap with four children per node: fewer levels, and the four are neighbours in memory.
type eventHeap []event

func (a *event) before(b *event) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.seq < b.seq
}

func (h *eventHeap) push(e event) {
	s := append(*h, e)
	*h = s
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&s[parent]) {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = e
}

func (h *eventHeap) pop() event {
	s := *h
	top, last := s[0], s[len(s)-1]
	s[len(s)-1] = event{}
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return top
	}
	i := 0
	for {
		child := 4*i + 1
		if child >= len(s) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(s)); c++ {
			if s[c].before(&s[least]) {
				least = c
			}
		}
		if !s[least].before(&last) {
			break
		}
		s[i] = s[least]
		i = least
	}
	s[i] = last
	return top
}
