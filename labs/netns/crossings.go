package netns

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/net/bpf"

	"grove/internal/ip"
	"grove/internal/probe"
	"grove/labs/script"
)

// counter notes which numbered data packets nodes put on links: a packet socket at a node's end of every cable, which
// sees both directions and tells them apart by the sender's address.
type counter struct {
	start time.Time
	ports []*countedPort
	done  sync.WaitGroup

	mu   sync.Mutex
	seen []script.Crossing
}

// countedPort is one end of a cable: a node's, and not a bridge's, whose other ports forward what each of them sends.
type countedPort struct {
	*pcapgo.EthernetHandle
	link   string
	from   map[[6]byte]string // the nodes that can send on this cable, by address
	closed chan struct{}
}

// CountCrossings implements script.Engine.
func (e *Engine) CountCrossings() error {
	if e.counter != nil {
		return nil
	}
	e.counter = &counter{start: e.start}
	for _, l := range e.topo.Links {
		if err := e.counter.add(e, l); err != nil {
			return fmt.Errorf("count packets on %v: %w", l.A, err)
		}
	}
	return nil
}

// Crossings implements script.Engine. What several sockets saw comes in any order: it is sorted by time.
func (e *Engine) Crossings() []script.Crossing {
	if e.counter == nil {
		return nil
	}
	e.counter.mu.Lock()
	defer e.counter.mu.Unlock()
	seen := e.counter.seen
	for i := len(seen) - 1; i > 0; i-- { // nearly sorted: what came late moves up
		for j := i; j < len(seen) && seen[j].At < seen[j-1].At; j++ {
			seen[j], seen[j-1] = seen[j-1], seen[j]
		}
		if len(seen)-i > lateCrossings {
			break
		}
	}
	return slices.Clone(seen)
}

// lateCrossings is how many of the last crossings may still be out of order.
const lateCrossings = 1000

// add begins to count on a cable.
func (c *counter) add(e *Engine, l script.Link) error {
	ends := []script.Endpoint{l.A, l.B}
	ends = slices.DeleteFunc(ends, func(p script.Endpoint) bool { return e.nodes[p.Node].Bridge })
	if len(ends) == 0 {
		return nil // between two bridges
	}
	p := &countedPort{link: e.topo.LinkName(l), from: map[[6]byte]string{}, closed: make(chan struct{})}
	for _, end := range ends {
		link, err := e.nodes[end.Node].space.links.LinkByName(end.Interface)
		if err != nil {
			return err
		}
		p.from[[6]byte(link.Attrs().HardwareAddr)] = end.Node
	}
	filter, err := bpf.Assemble(multicastUDP)
	if err != nil {
		return err
	}
	err = e.nodes[ends[0].Node].space.do(func() (err error) {
		if p.EthernetHandle, err = pcapgo.NewEthernetHandle(ends[0].Interface); err != nil {
			return err
		}
		return p.SetBPF(filter)
	})
	if err != nil {
		return err
	}
	c.ports = append(c.ports, p)
	c.done.Go(func() { c.run(p) })
	return nil
}

// etherHeader is the length of an Ethernet header without a tag.
const etherHeader = 14

// multicastUDP is a filter that lets UDP packets to groups pass, of both families.
var multicastUDP = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x86dd, SkipTrue: 5},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x0800, SkipTrue: 8},
	bpf.LoadAbsolute{Off: etherHeader + 9, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 17, SkipTrue: 6},
	bpf.LoadAbsolute{Off: etherHeader + 16, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: 0xe0, SkipTrue: 5, SkipFalse: 4},
	bpf.LoadAbsolute{Off: etherHeader + 6, Size: 1}, // IPv6
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 17, SkipTrue: 2},
	bpf.LoadAbsolute{Off: etherHeader + 24, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0xff, SkipTrue: 1},
	bpf.RetConstant{Val: 0},
	bpf.RetConstant{Val: 1 << 16},
}

// run notes what a socket sees until it is closed. A link that goes down is an error of its socket, once: it goes on.
func (c *counter) run(p *countedPort) {
	const udpHeader = 8
	for {
		frame, info, err := p.ReadPacketData()
		if err != nil {
			select {
			case <-p.closed:
				return
			default:
				continue
			}
		}
		if len(frame) < etherHeader {
			continue
		}
		from, ours := p.from[[6]byte(frame[6:12])]
		d, err := ip.Parse(frame[etherHeader:])
		if !ours || err != nil || len(d.Payload) < udpHeader {
			continue
		}
		packet, err := probe.Parse(d.Payload[udpHeader:])
		if err != nil {
			continue
		}
		c.mu.Lock()
		c.seen = append(c.seen, script.Crossing{
			At: info.Timestamp.Sub(c.start), Link: p.link, From: from, Source: d.Src, Group: d.Dst, Seq: packet.Seq,
		})
		c.mu.Unlock()
	}
}

// close ends the counting. An error says that packets were missed: what a check said of them may be wrong.
func (c *counter) close() error {
	var errs []error
	for _, p := range c.ports {
		stats, err := p.Stats()
		if err == nil && stats.Drops > 0 {
			err = fmt.Errorf("count packets on %s: %d of %d were missed", p.link, stats.Drops, stats.Packets)
		}
		close(p.closed)
		if closing := p.Close(); !errors.Is(closing, net.ErrClosed) {
			errs = append(errs, closing)
		}
		errs = append(errs, err)
	}
	c.done.Wait()
	return errors.Join(errs...)
}
