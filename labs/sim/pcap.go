package sim

import (
	"fmt"
	"io"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Capture is a pcapng file in the making: Ethernet frames with virtual timestamps, as tshark reads them. Close it before
// the file is read.
type Capture struct {
	sim *Sim
	w   *pcapgo.NgWriter
	err error
}

// tap is where a capture looks on: one interface of the file.
type tap struct {
	capture *Capture
	iface   int
	port    *Port // only what this end sends and receives; nil: all that is sent on the link
}

// NewCapture begins a capture file with the first tap on it. Taps on more links and interfaces may follow.
func (s *Sim) NewCapture(w io.Writer, links ...*Link) (*Capture, error) {
	if len(links) == 0 {
		return nil, fmt.Errorf("sim: a capture needs a link")
	}
	ng, err := pcapgo.NewNgWriterInterface(w, ngInterface(links[0].name), pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Application: "grove simulator"},
	})
	if err != nil {
		return nil, fmt.Errorf("sim: capture: %w", err)
	}
	c := &Capture{sim: s, w: ng}
	links[0].taps = append(links[0].taps, &tap{capture: c})
	for _, l := range links[1:] {
		if err := c.AddLink(l); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func ngInterface(name string) pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeEthernet, TimestampResolution: 9, SnapLength: 0}
}

// AddLink captures what is sent on a link, too. Packets that the link loses are in the capture.
func (c *Capture) AddLink(l *Link) error { return c.add(l, nil, l.name) }

// AddPort captures what one interface sends, and what is sent to it.
func (c *Capture) AddPort(p *Port) error { return c.add(p.link, p, p.node.name+" "+p.name) }

func (c *Capture) add(l *Link, p *Port, name string) error {
	i, err := c.w.AddInterface(ngInterface(name))
	if err != nil {
		return fmt.Errorf("sim: capture: %w", err)
	}
	l.taps = append(l.taps, &tap{capture: c, iface: i, port: p})
	return nil
}

// Close ends the capture and returns the first error there was.
func (c *Capture) Close() error {
	for _, l := range c.sim.links {
		kept := l.taps[:0]
		for _, t := range l.taps {
			if t.capture != c {
				kept = append(kept, t)
			}
		}
		l.taps = kept
	}
	if err := c.w.Flush(); c.err == nil && err != nil {
		c.err = err
	}
	return c.err
}

// write puts a transmission into the file.
func (t *tap) write(from, to *Port, p *packet, ttl uint8) {
	if t.port != nil && t.port != from && to != nil && t.port != to {
		return
	}
	d := p.with(ttl)
	frame := make([]byte, 14, 14+p.size)
	copy(frame[6:], from.mac[:])
	if to != nil {
		copy(frame, to.mac[:])
	} else {
		mac := groupMAC(p.Dst)
		copy(frame, mac[:])
	}
	frame[12], frame[13] = 0x08, 0x00
	if p.Dst.Is6() {
		frame[12], frame[13] = 0x86, 0xdd
	}
	frame = d.Append(frame)
	c := t.capture
	err := c.w.WritePacket(gopacket.CaptureInfo{
		Timestamp: c.sim.Clock(), CaptureLength: len(frame), Length: len(frame), InterfaceIndex: t.iface,
	}, frame)
	if c.err == nil {
		c.err = err
	}
}

// groupMAC returns the Ethernet address of a group (RFC 1112 section 6.4, RFC 2464 section 7).
func groupMAC(group netip.Addr) [6]byte {
	if group.Is4() {
		g := group.As4()
		return [6]byte{0x01, 0x00, 0x5e, g[1] & 0x7f, g[2], g[3]}
	}
	g := group.As16()
	return [6]byte{0x33, 0x33, g[12], g[13], g[14], g[15]}
}
