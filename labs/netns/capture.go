package netns

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/labs/script"
)

// capture writes every frame on every link of a lab to one pcapng file, with an interface of the file per link.
type capture struct {
	taps []*tap
	done sync.WaitGroup

	mu  sync.Mutex
	w   *pcapgo.NgWriter
	err error // the first there was
}

// tap is a packet socket at one end of a link: it sees both directions.
type tap struct {
	*pcapgo.EthernetHandle
	name   string
	number int // of the interface in the file
	read   atomic.Uint64
	closed chan struct{}
}

func (e *Engine) newCapture(w io.Writer) (*capture, error) {
	c := &capture{}
	for i, l := range e.topo.Links {
		if err := c.add(e, w, i, l); err != nil {
			return nil, errors.Join(fmt.Errorf("capture on %v: %w", l.A, err), c.close())
		}
	}
	return c, nil
}

// add begins to capture on a link.
func (c *capture) add(e *Engine, w io.Writer, number int, l script.Link) error {
	t := &tap{name: l.A.String() + " " + l.B.String(), number: number, closed: make(chan struct{})}
	err := e.nodes[l.A.Node].space.do(func() (err error) {
		t.EthernetHandle, err = pcapgo.NewEthernetHandle(l.A.Interface)
		return err
	})
	if err != nil {
		return err
	}
	c.taps = append(c.taps, t)
	ng := pcapgo.NgInterface{Name: t.name, LinkType: layers.LinkTypeEthernet, TimestampResolution: 9}
	c.mu.Lock()
	if c.w == nil {
		c.w, err = pcapgo.NewNgWriterInterface(w, ng, pcapgo.NgWriterOptions{
			SectionInfo: pcapgo.NgSectionInfo{Application: "grove lab " + e.topo.Name},
		})
	} else {
		_, err = c.w.AddInterface(ng)
	}
	c.mu.Unlock()
	if err == nil {
		c.done.Go(func() { c.run(t) })
	}
	return err
}

// run writes what a tap sees until it is closed. A link that goes down is an error of its packet socket, once: it goes
// on.
func (c *capture) run(t *tap) {
	for {
		frame, info, err := t.ReadPacketData()
		if err != nil {
			select {
			case <-t.closed:
				return
			default:
				continue
			}
		}
		info.InterfaceIndex = t.number
		info.AncillaryData = nil
		c.mu.Lock()
		if err := c.w.WritePacket(info, frame); c.err == nil {
			c.err = err
		}
		c.mu.Unlock()
		t.read.Add(1)
	}
}

// drain waits until all that the socket has taken from the wire is written, and says how much it had no room for.
func (t *tap) drain() error {
	var seen, lost uint64
	for range 1000 {
		stats, err := t.Stats() // since the last call
		if err != nil {
			return fmt.Errorf("capture on %s: %w", t.name, err)
		}
		seen, lost = seen+uint64(stats.Packets), lost+uint64(stats.Drops)
		if t.read.Load()+lost >= seen {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if lost > 0 {
		return fmt.Errorf("capture on %s: %d of %d frames were lost", t.name, lost, seen)
	}
	return nil
}

// close ends the capture. The file is complete then; an error says that it is not.
func (c *capture) close() error {
	var errs []error
	for _, t := range c.taps {
		errs = append(errs, t.drain())
		close(t.closed)
		errs = append(errs, t.Close())
	}
	c.done.Wait()
	if c.w != nil {
		errs = append(errs, c.err, c.w.Flush())
	}
	return errors.Join(errs...)
}
