package host

import (
	"errors"
	"os"
	"sync"
	"time"

	"grove/internal/engine"
	"grove/mfib/kernel"
)

// upcallBuffer is the receive buffer of a multicast routing socket. It bounds the flows whose first packet waits for an
// answer.
const upcallBuffer = 8 << 20

// plane is a multicast routing table of the kernel and the goroutine that reads its socket.
type plane struct {
	mfib  engine.MachineID // who gets its upcalls
	igmp  engine.MachineID // who gets the IGMP that arrives on the same socket
	table *kernel.Table

	mu      sync.Mutex
	asked   chan struct{} // closed when everything that had arrived is in the inbox
	ended   bool          // the reader is to end, or has
	reading sync.WaitGroup
}

func openPlane(mfib engine.MachineID) (*plane, error) {
	table, err := kernel.Open(mfib.Family, mfib.Table, upcallBuffer)
	if err != nil {
		return nil, err
	}
	igmp := mfib
	igmp.Protocol = engine.IGMP
	return &plane{mfib: mfib, igmp: igmp, table: table}, nil
}

// start starts the reader.
func (p *plane) start(b *inbox) { p.reading.Go(func() { p.read(b) }) }

// read hands what the kernel says to the inbox, until close.
func (p *plane) read(b *inbox) {
	var items []item
	add := func(event engine.Event, index int) {
		switch ev := event.(type) {
		case engine.Packet:
			if heardElsewhere(&ev) {
				return
			}
			items = append(items, item{control, p.igmp, arrival{ev, index}})
		case engine.Upcall:
			c := alert
			if ev.Packet != nil {
				c = whole
			}
			items = append(items, item{c, p.mfib, ev})
		}
	}
	for {
		event, index, err := p.table.Read()
		asked := errors.Is(err, os.ErrDeadlineExceeded)
		switch {
		case asked:
			_ = p.table.SetReadDeadline(time.Time{})
		case err == nil:
			add(event, index)
		}
		// An error of another kind is that of a single packet.
		for len(items) < 256 || asked && len(items) < 4096 {
			event, index, err := p.table.TryRead()
			if err != nil {
				break
			}
			add(event, index)
		}
		b.put(items)
		items = items[:0]
		if asked && p.settle() {
			return
		}
	}
}

// drain returns when what had arrived on the table's socket at the call is in the inbox. Whoever reads another socket
// calls it before it delivers: only so the order of a native packet and of the Register with the same packet, on which
// the switch from one to the other depends, is the order in which they arrived.
func (p *plane) drain() {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	if p.asked == nil {
		p.asked = make(chan struct{})
		// A deadline that is over wakes the reader, if it waits, and tells it what is asked.
		_ = p.table.SetReadDeadline(time.Unix(1, 0))
	}
	asked := p.asked
	p.mu.Unlock()
	<-asked
}

// settle answers drain, and says whether the reader is to end.
func (p *plane) settle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked != nil {
		close(p.asked)
		p.asked = nil
	}
	return p.ended
}

// close ends the reader and gives up the table.
func (p *plane) close() error {
	p.mu.Lock()
	p.ended = true
	_ = p.table.SetReadDeadline(time.Unix(1, 0))
	p.mu.Unlock()
	p.reading.Wait()
	return p.table.Close()
}
