package bgp

import (
	"net/netip"
	"testing"
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, t := range texts {
		list = append(list, netip.MustParsePrefix(t))
	}
	return list
}

// TestNetworks: networks of the configuration are told with what it says of them, for the families that it says.
func TestNetworks(t *testing.T) {
	section := one + `  neighbors: [{address: 10.0.0.2, as: 65002, passive: true, families: [ipv4-unicast, ipv4-multicast, ipv6-multicast]}]
  networks:
    - {prefix: 10.1.0.0/16, med: 7, communities: ["65001:1", no-export]}
    - {prefix: 10.2.0.0/16, into: [multicast]}
    - {prefix: 10.3.0.0/16, into: [unicast]}
    - {prefix: "2001:db8:1::/48"}
`
	n := start(t, section)
	far := dial(t, manner{families: append(ipv4Families, families[3])})
	// GoBGP has the IPv4 session's own address as the next hop of IPv6 routes (RFC 4659, section 3.2.1.1: mapped).
	six := "ipv6-multicast 2001:db8:1::/48 next ::ffff:10.0.0.1 IGP path 65001"
	far.hears("the networks",
		"ipv4-unicast 10.1.0.0/16 next 10.0.0.1 IGP path 65001 med 7 65001:1 no-export",
		"ipv4-multicast 10.1.0.0/16 next 10.0.0.1 IGP path 65001 med 7 65001:1 no-export",
		"ipv4-multicast 10.2.0.0/16 next 10.0.0.1 IGP path 65001", "ipv4-unicast 10.3.0.0/16 next 10.0.0.1 IGP path 65001", six)
	n.configure(one + `  neighbors: [{address: 10.0.0.2, as: 65002, passive: true, families: [ipv4-unicast, ipv4-multicast, ipv6-multicast]}]
  networks:
    - {prefix: 10.1.0.0/16, into: [multicast], med: 8}
    - {prefix: "2001:db8:1::/48"}
`)
	far.hears("another configuration", "ipv4-multicast 10.1.0.0/16 next 10.0.0.1 IGP path 65001 med 8", six)
	if got := n.neighbor("10.0.0.2"); got.State != "Established" || got.Flaps != 0 {
		t.Errorf("after another configuration the session is %s, ended %d times", got.State, got.Flaps)
	}
	if told := n.told(); told != "" {
		t.Errorf("our own networks were told as multicast routes: %s", told)
	}
}

// TestRedistribute: what the host has of each origin is told as the configuration wants it, follows changes, and yields to a
// network of the configuration.
func TestRedistribute(t *testing.T) {
	section := one + `  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}]
  networks: [{prefix: 10.1.0.0/16, into: [multicast], med: 1}]
  redistribute:
    - {from: connected, into: [multicast]}
    - {from: static, into: [unicast], med: 5}
    - {from: dvmrp}
`
	n := start(t, section)
	n.server.Redistribute("connected", prefixes("10.1.0.0/16", "10.2.0.0/24"))
	n.server.Redistribute("static", prefixes("10.3.0.0/16"))
	n.server.Redistribute("dvmrp", prefixes("10.4.0.0/16"))
	far := dial(t, manner{})
	const (
		ours      = "ipv4-multicast 10.1.0.0/16 next 10.0.0.1 IGP path 65001 med 1"
		connected = "ipv4-multicast 10.2.0.0/24 next 10.0.0.1 incomplete path 65001"
		static    = "ipv4-unicast 10.3.0.0/16 next 10.0.0.1 incomplete path 65001 med 5"
		dvmrp     = "ipv4-multicast 10.4.0.0/16 next 10.0.0.1 incomplete path 65001"
		dvmrpToo  = "ipv4-unicast 10.4.0.0/16 next 10.0.0.1 incomplete path 65001"
	)
	far.hears("of each origin", ours, connected, static, dvmrp, dvmrpToo)
	n.server.Redistribute("dvmrp", prefixes("10.5.0.0/16"))
	n.server.Redistribute("connected", nil)
	far.hears("what changed", ours, static, "ipv4-multicast 10.5.0.0/16 next 10.0.0.1 incomplete path 65001",
		"ipv4-unicast 10.5.0.0/16 next 10.0.0.1 incomplete path 65001")
	n.configure(one + `  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}]
  redistribute: [{from: static, into: [multicast]}]
`)
	far.hears("static routes alone", "ipv4-multicast 10.3.0.0/16 next 10.0.0.1 incomplete path 65001")
}

// TestOurNetworkIsNotTold: a route of a neighbor's to a network that we originate is none that rib would use, and it is one when
// we stop originating it.
func TestOurNetworkIsNotTold(t *testing.T) {
	neighbors := one + "  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}]\n"
	n := start(t, neighbors)
	far := dial(t, manner{})
	far.announce(offer{prefixes: []string{"10.1.0.0/16", "10.2.0.0/16"}, multicast: true, med: -1})
	n.becomes("both", "10.1.0.0/16 via 10.0.0.2\n10.2.0.0/16 via 10.0.0.2", n.told)
	n.configure(neighbors + "  networks: [{prefix: 10.1.0.0/16, into: [multicast]}]\n")
	n.becomes("one that is ours", "10.2.0.0/16 via 10.0.0.2", n.told)
	n.configure(neighbors)
	n.becomes("both again", "10.1.0.0/16 via 10.0.0.2\n10.2.0.0/16 via 10.0.0.2", n.told)
}

// TestCommunities: names and numbers are the same communities, both ways.
func TestCommunities(t *testing.T) {
	for text, want := range map[string]uint32{
		"65001:1": 65001<<16 | 1, "0:7": 7, "65535:65535": 0xffffffff, "no-export": 0xffffff01, "no-advertise": 0xffffff02,
		"no-export-subconfed": 0xffffff03, "graceful-shutdown": 0xffff0000, "blackhole": 0xffff029a,
	} {
		if got := community(text); got != want {
			t.Errorf("%s is %#x, want %#x", text, got, want)
		}
		if got := communityText(want); got != text {
			t.Errorf("%#x is %s, want %s", want, got, text)
		}
	}
}
