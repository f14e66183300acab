package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"grove/internal/engine"
)

// TunnelMode says by whom the packets of a tunnel are encapsulated.
type TunnelMode uint8

// The modes. Auto is the kernel's ipip device where the kernel has one, and groved itself behind a TUN device elsewhere.
const (
	TunnelAuto TunnelMode = iota
	TunnelKernel
	TunnelUser
)

var tunnelModes = [...]string{TunnelAuto: "auto", TunnelKernel: "kernel", TunnelUser: "user"}

// String returns the mode as the file has it.
func (m TunnelMode) String() string { return tunnelModes[m] }

// Tunnel is an IP-in-IP tunnel (RFC 2003): an interface that groved makes, point to point to Remote. What runs on it
// stands under Interfaces, as for any other.
type Tunnel struct {
	Name          string
	Local, Remote netip.Addr // of the outer header
	TTL           uint8      // of the outer header
	MTU           int        // of a packet inside; 0: what the path takes, less the outer header
	RateKbps      uint64     // of what is sent, outer headers included; 0: no limit
	Mode          TunnelMode
}

const (
	tunnelHeader = 20 // bytes of the outer header
	maxRateKbps  = 100_000_000
)

var tunnelKeys []key[Tunnel]

func initTunnelKeys() {
	end := func(name, doc string, field func(*Tunnel) *netip.Addr) key[Tunnel] {
		return key[Tunnel]{
			name: name, takes: "an IPv4 unicast address", def: "required", doc: doc,
			read: func(r *reader, n ast.Node, v *Tunnel) {
				if a, ok := r.unicast(n, name, engine.IPv4); ok {
					*field(v) = a
				}
			},
			print: func(v *Tunnel) string { return quote(field(v).String()) },
		}
	}
	tunnelKeys = []key[Tunnel]{
		{
			name: "name", also: []string{"interface", "dev", "ifname"}, takes: "the name of an interface", def: "required",
			doc: "What the interface is called, here and under interfaces.",
			read: func(r *reader, n ast.Node, v *Tunnel) {
				s, ok := r.text(n, "the name of an interface")
				switch {
				case !ok || !r.interfaceName(n, s):
				case s == "lo" || s == "all" || s == "default" || strings.Contains(s, "%"):
					r.fault(n, fmt.Sprintf("a tunnel cannot be called %s", s), "a name of its own, such as tun1", "")
				default:
					v.Name = s
				}
			},
			print: func(v *Tunnel) string { return quote(v.Name) },
		},
		also(end("local", "Our end: the source of the outer header. The tunnel is there while the router has this address.",
			func(v *Tunnel) *netip.Addr { return &v.Local }), "source", "tunnel-source", "src"),
		also(end("remote", "The far end: the destination of the outer header. Unicast routing finds the way, which must not lead through the tunnel itself.",
			func(v *Tunnel) *netip.Addr { return &v.Remote }), "destination", "tunnel-destination", "dst", "peer"),
		also(number("ttl", func(v *Tunnel) *uint8 { return &v.TTL }, 1, 255, "64",
			"TTL of the outer header. That of the packet inside is not changed by the tunnel, however long it is."), "hop-limit"),
		{
			name: "mtu", takes: "a whole number from 68 to 65515", def: "the path's, less 20",
			doc: "The largest packet inside. Without it the path's MTU is discovered: outer headers forbid fragmentation, and larger packets " +
				"are fragmented before they enter. With it they forbid it only if the packet inside does, so that routers on the way may fragment.",
			read: func(r *reader, n ast.Node, v *Tunnel) {
				if x, ok := readNumber(r, n, "mtu", 68, 65535-tunnelHeader, "a whole number from 68 to 65515"); ok {
					v.MTU = x
				}
			},
			print: func(v *Tunnel) string {
				if v.MTU == 0 {
					return ""
				}
				return fmt.Sprint(v.MTU)
			},
		},
		{
			name: "rate-limit", also: []string{"rate", "bandwidth"}, takes: "none, or a rate as 500kbps, 2Mbps or 1Gbps", def: "none",
			doc:  "The most that is sent into the tunnel, outer headers included; packets beyond are dropped and counted.",
			read: readRateLimit,
			print: func(v *Tunnel) string {
				if v.RateKbps == 0 {
					return ""
				}
				return fmt.Sprintf("%dkbps", v.RateKbps)
			},
		},
		{
			name: "mode", takes: "auto, kernel or user", def: "auto",
			doc: "Who encapsulates: the kernel's ipip device, or groved behind a TUN device, for kernels without ipip. auto tries the kernel first.",
			read: func(r *reader, n ast.Node, v *Tunnel) {
				const takes = "auto, kernel or user"
				s, ok := r.text(n, takes)
				if !ok {
					return
				}
				for mode, name := range tunnelModes {
					if s == name {
						v.Mode = TunnelMode(mode)
						return
					}
				}
				r.fault(n, fmt.Sprintf("mode %q is not one", s), takes, "")
			},
			print: func(v *Tunnel) string { return v.Mode.String() },
		},
	}
}

func readRateLimit(r *reader, n ast.Node, v *Tunnel) {
	const takes = "none, or a rate from 8kbps to 100Gbps"
	s, ok := r.text(n, takes)
	if !ok {
		return
	}
	if s == "none" {
		v.RateKbps = 0
		return
	}
	for unit, kbps := range map[string]uint64{"kbps": 1, "Mbps": 1000, "Gbps": 1_000_000} {
		digits, found := strings.CutSuffix(s, unit)
		if x, err := strconv.ParseUint(digits, 10, 32); found && err == nil && x*kbps >= 8 && x*kbps <= maxRateKbps {
			v.RateKbps = x * kbps
			return
		}
	}
	mend := ""
	if _, err := strconv.ParseUint(s, 10, 32); err == nil {
		mend = "write " + s + "kbps"
	}
	r.fault(n, fmt.Sprintf("rate-limit %q is out of range or not a rate", s), takes, mend)
}

// checkTunnel checks a tunnel against those before it, and at the end against the addresses of the router.
func (r *reader) checkTunnel(at places, v *Tunnel, before []Tunnel) {
	switch {
	case v.Name == "":
		r.fault(at.whole, "a tunnel without a name", "name: NAME", "")
		return
	case !v.Local.IsValid():
		r.fault(at.whole, fmt.Sprintf("tunnel %s has no local end", v.Name), "local: ADDRESS", "write one of the router's own addresses")
		return
	case !v.Remote.IsValid():
		r.fault(at.whole, fmt.Sprintf("tunnel %s has no remote end", v.Name), "remote: ADDRESS", "write the address of the router at the far end")
		return
	case v.Local == v.Remote:
		r.fault(at.of("remote"), fmt.Sprintf("tunnel %s begins and ends at %s", v.Name, v.Local), "the address of another router", "")
		return
	}
	if v.TTL == 0 {
		v.TTL = 64
	}
	for _, b := range before {
		if b.Name == v.Name {
			r.fault(at.of("name"), fmt.Sprintf("tunnel %s stands here a second time", v.Name), "each name once", "give one of them another name")
		}
		if b.Local == v.Local && b.Remote == v.Remote {
			r.fault(at.of("remote"), fmt.Sprintf("tunnel %s has the same two ends as %s", v.Name, b.Name), "one tunnel between two addresses",
				"remove one, or let it begin or end at another address")
		}
	}
	r.later = append(r.later, func(*Config) {
		for _, own := range r.addresses {
			switch {
			case own.value.Addr() == v.Remote:
				r.fault(at.of("remote"), fmt.Sprintf("remote %s of tunnel %s is our own address on %s", v.Remote, v.Name, own.iface),
					"the address of another router", "")
			case own.value.Addr() == v.Local && own.iface == v.Name:
				r.fault(at.of("local"), fmt.Sprintf("local %s of tunnel %s is an address of the tunnel itself", v.Local, v.Name),
					"an address of another interface", "")
			case own.iface == v.Name && own.value.Contains(v.Remote):
				r.fault(at.of("remote"), fmt.Sprintf("remote %s of tunnel %s is in the tunnel's own subnet %s", v.Remote, v.Name, own.value.Masked()),
					"an address that is reached without the tunnel", "change the address of the interface")
			}
		}
	})
}

// checkTunnelInterface checks what stands under interfaces for a tunnel. What it says is known at the end of the file.
func (r *reader) checkTunnelInterface(at places, name string) {
	r.later = append(r.later, func(c *Config) {
		if c.Tunnel(name) == nil {
			return
		}
		if at.has("mtu") {
			r.fault(at.keyOf("mtu"), fmt.Sprintf("the MTU of tunnel %s stands at its interface", name), "mtu at the tunnel", "move it to tunnels")
		}
		for _, p := range []string{"mld", "pim6"} {
			if at.has(p) {
				r.fault(at.keyOf(p), fmt.Sprintf("%s on tunnel %s, which carries IPv4", p, name), "igmp, pim or dvmrp", "remove it")
			}
		}
	})
}

// Tunnel returns the tunnel called name, nil if there is none.
func (c *Config) Tunnel(name string) *Tunnel {
	for i := range c.Tunnels {
		if c.Tunnels[i].Name == name {
			return &c.Tunnels[i]
		}
	}
	return nil
}
