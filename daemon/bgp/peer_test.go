package bgp

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// pair starts two of our own speakers, 10.0.0.1 of AS 65001 and 10.0.0.2 of AS 65002, with a network of the second. What is in the
// place of more stands in the neighbor's entry.
func pair(t *testing.T, moreA, moreB string) (a, b *node) {
	t.Helper()
	return start(t, pairA(moreA)), start(t, pairB(moreB))
}

func pairA(more string) string {
	return `  as: 65001
  router-id: 10.0.0.1
  listen: [10.0.0.1]
  neighbors: [{address: 10.0.0.2, as: 65002, local-address: 10.0.0.1, connect-retry: 1s, hold-time: 9s` + more + "}]\n"
}

func pairB(more string) string {
	return `  as: 65002
  router-id: 10.0.0.2
  listen: [10.0.0.2]
  neighbors: [{address: 10.0.0.1, as: 65001, local-address: 10.0.0.2, connect-retry: 1s, hold-time: 9s` + more + `}]
  networks: [{prefix: 10.2.0.0/16}]
`
}

// TestPair: two of our own speakers, and what show says of the session.
func TestPair(t *testing.T) {
	a, b := pair(t, ", description: the other", "")
	a.becomes("the network", "10.2.0.0/16 via 10.0.0.2", a.told)
	n := a.neighbor("10.0.0.2")
	got := fmt.Sprintf("%s %s AS%d id %v from %v hold %v keepalive %v internal %v md5 %v", n.State, n.Description, n.AS, n.RouterID, n.LocalAddress,
		n.HoldTime, n.Keepalive, n.Internal, n.MD5)
	if want := "Established the other AS65002 id 10.0.0.2 from 10.0.0.1 hold 9s keepalive 3s internal false md5 false"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b.stop()
	a.becomes("nothing without the other", "", a.told)
	a.becomes("why", "notification-received code 6(cease) subcode 3(peer deconfigured)", func() string { return a.neighbor("10.0.0.2").LastEnd })
}

// TestMD5: a session needs the same password at both ends, which may be in a file and is read again at a reload.
func TestMD5(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("geheim\n")
	a, b := pair(t, ", password-file: "+file, ", password: geheim")
	a.becomes("the same password", "10.2.0.0/16 via 10.0.0.2", a.told)
	if !a.neighbor("10.0.0.2").MD5 {
		t.Error("show does not say that there is a password")
	}
	before := len(a.sessionStates("10.0.0.2"))
	write("geheim") // without the end of the line: the same
	a.configure(pairA(", password-file: " + file))
	if n := a.neighbor("10.0.0.2"); n.State != "Established" || len(a.sessionStates("10.0.0.2")) != before {
		t.Errorf("the same password once more: the session is %s", n.State)
	}
	write("falsch\n")
	a.configure(pairA(", password-file: " + file))
	a.becomes("another password", "", a.told)
	b.becomes("at the other end", "false", func() string { return fmt.Sprint(b.neighbor("10.0.0.1").State == "Established") })
	b.configure(pairB(", password: falsch"))
	a.becomes("the same again", "10.2.0.0/16 via 10.0.0.2", a.told)
	a.configure(pairA(""))
	a.becomes("none at one end", "", a.told)
	b.configure(pairB(""))
	a.becomes("none at both", "10.2.0.0/16 via 10.0.0.2", a.told)
}

func (n *node) sessionStates(neighbor string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.states[netip.MustParseAddr(neighbor)]
}

// TestPasswords: a file without one line of 1 to 80 bytes is refused, and so is the configuration.
func TestPasswords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	cfg := parse(t, pairA(", password-file: "+file))
	if _, err := readPasswords(cfg); err == nil {
		t.Error("a file that is not there is taken")
	}
	for text, good := range map[string]bool{
		"geheim": true, "geheim\r\n": true, strings.Repeat("x", 80): true, "": false, "\n": false, strings.Repeat("x", 81): false, "a\nb\n": false,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		passwords, err := readPasswords(cfg)
		if (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
		if want := strings.TrimRight(text, "\r\n"); good && passwords[netip.MustParseAddr("10.0.0.2")] != want {
			t.Errorf("%q: the password is %q", text, passwords[netip.MustParseAddr("10.0.0.2")])
		}
	}
}

// TestGTSM: with ttl-security at both ends there is a session. A neighbor without it sends with a TTL of 1, as EBGP does: its
// segments are dropped.
func TestGTSM(t *testing.T) {
	a, b := pair(t, ", ttl-security: 1", ", ttl-security: 1")
	a.becomes("both have it", "10.2.0.0/16 via 10.0.0.2", a.told)
	b.configure(pairB(""))
	a.becomes("one has it", "", a.told)
	a.becomes("the session", "false", func() string { return fmt.Sprint(a.neighbor("10.0.0.2").State == "Established") })
	b.configure(pairB(", ttl-security: 3"))
	a.becomes("the other allows more hops", "10.2.0.0/16 via 10.0.0.2", a.told)
}

const restarting = one + `  graceful-restart: true
  restart-time: 60s
  neighbors: [{address: 10.0.0.2, as: 65002, passive: true, connect-retry: 1s}]
`

// TestGracefulRestart: the routes of a neighbor that dies are kept as stale; when it is back those that it tells again stay, and
// the others go with its End-of-RIB (RFC 4724, section 4.2).
func TestGracefulRestart(t *testing.T) {
	n := start(t, restarting)
	far := dial(t, manner{restart: 60})
	far.announce(offer{prefixes: []string{"10.1.0.0/16", "10.2.0.0/16"}, multicast: true, med: -1})
	far.endOfRIB(ipv4Families...)
	const both = "10.1.0.0/16 via 10.0.0.2\n10.2.0.0/16 via 10.0.0.2"
	n.becomes("two routes", both, n.told)
	if time := restartTime(far.open); time != 60 {
		t.Errorf("we say that we restart within %d s, not 60", time)
	}
	far.hangUp()
	table := func() string { return n.table("ipv4-multicast") }
	n.becomes("they are stale", "10.1.0.0/16 via 10.0.0.2 path 65002 stale\n10.2.0.0/16 via 10.0.0.2 path 65002 stale", table)
	if got := n.told(); got != both {
		t.Errorf("while the neighbor restarts rib has\n%s", got)
	}
	if !n.neighbor("10.0.0.2").Restarting {
		t.Error("show does not say that the neighbor restarts")
	}
	far = dial(t, manner{restart: 60, back: true})
	far.announce(offer{prefixes: []string{"10.2.0.0/16"}, multicast: true, med: -1})
	n.becomes("one is fresh", "10.1.0.0/16 via 10.0.0.2 path 65002 stale\n10.2.0.0/16 via 10.0.0.2 path 65002", table)
	far.endOfRIB(ipv4Families...)
	n.becomes("the other is gone", "10.2.0.0/16 via 10.0.0.2", n.told)
}

// restartTime is what the capability of graceful restart says; -1: there is none.
func restartTime(open *bgp.BGPOpen) int {
	for _, p := range open.OptParams {
		if c, ok := p.(*bgp.OptionParameterCapability); ok {
			for _, one := range c.Capability {
				if g, ok := one.(*bgp.CapGracefulRestart); ok {
					return int(g.Time)
				}
			}
		}
	}
	return -1
}

// TestRestartTakesTooLong: a neighbor that is not back after its restart time loses its routes.
func TestRestartTakesTooLong(t *testing.T) {
	n := start(t, restarting)
	far := dial(t, manner{restart: 1})
	far.announce(offer{prefixes: []string{"10.1.0.0/16"}, multicast: true, med: -1})
	far.endOfRIB(ipv4Families...)
	n.becomes("a route", "10.1.0.0/16 via 10.0.0.2", n.told)
	begin := time.Now()
	far.hangUp()
	n.becomes("after a second", "", n.told)
	if kept := time.Since(begin); kept < 900*time.Millisecond {
		t.Errorf("the route was kept for %v only", kept)
	}
}

// TestNoGracefulRestart: without it routes go with the session, whatever the neighbor can do.
func TestNoGracefulRestart(t *testing.T) {
	n := start(t, strings.Replace(restarting, "graceful-restart: true", "graceful-restart: false", 1))
	far := dial(t, manner{restart: 60})
	if time := restartTime(far.open); time != -1 {
		t.Errorf("we say that we restart within %d s", time)
	}
	far.announce(offer{prefixes: []string{"10.1.0.0/16"}, multicast: true, med: -1})
	far.endOfRIB(ipv4Families...)
	n.becomes("a route", "10.1.0.0/16 via 10.0.0.2", n.told)
	far.hangUp()
	n.becomes("gone with the session", "", n.told)
}

// TestMaxPrefixes: a neighbor that sends more routes than it may loses its session, by a Cease (RFC 4486, section 4).
func TestMaxPrefixes(t *testing.T) {
	n := start(t, one+"  neighbors: [{address: 10.0.0.2, as: 65002, passive: true, max-prefixes: 2}]\n")
	far := dial(t, manner{})
	far.announce(offer{prefixes: []string{"10.1.0.0/16", "10.2.0.0/16"}, multicast: true, med: -1})
	n.becomes("as many as it may", "10.1.0.0/16 via 10.0.0.2\n10.2.0.0/16 via 10.0.0.2", n.told)
	far.announce(offer{prefixes: []string{"10.3.0.0/16"}, multicast: true, med: -1})
	if end := far.ended(); end != "6/1" {
		t.Errorf("the session ended with %q, not 6/1", end)
	}
	n.becomes("nothing is left", "", n.told)
}

// TestWrongAS: a neighbor of another AS than the configured one gets no session (RFC 4271, section 6.2: Bad Peer AS).
func TestWrongAS(t *testing.T) {
	n := start(t, one+"  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}]\n")
	if end := dial(t, manner{as: 65009}).ended(); end != "2/2" {
		t.Errorf("a neighbor of a wrong AS is told %q, not 2/2", end)
	}
	if state := n.neighbor("10.0.0.2").State; state == "Established" {
		t.Error("a session with a wrong AS")
	}
}

// TestNeighborsChange: a configuration adds and removes neighbors, and leaves the sessions of the others alone. Whether a change
// needs a new Server is known before.
func TestNeighborsChange(t *testing.T) {
	n := start(t, one+"  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}]\n")
	dial(t, manner{}).announce(offer{prefixes: []string{"10.2.0.0/16"}, multicast: true, med: -1})
	n.becomes("one neighbor", "10.2.0.0/16 via 10.0.0.2", n.told)
	n.configure(one + "  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}, {address: 10.0.0.3, as: 65003, passive: true}]\n")
	third := dial(t, manner{from: "10.0.0.3", as: 65003})
	third.announce(offer{prefixes: []string{"10.3.0.0/16"}, multicast: true, med: -1, path: []uint32{65003}, next: "10.0.0.3"})
	n.becomes("two neighbors", "10.2.0.0/16 via 10.0.0.2\n10.3.0.0/16 via 10.0.0.3", n.told)
	n.configure(one + "  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}]\n")
	n.becomes("one neighbor again", "10.2.0.0/16 via 10.0.0.2", n.told)
	if end := third.ended(); end != "6/3" {
		t.Errorf("the neighbor that was removed was told %q, not 6/3 (peer de-configured)", end)
	}
	if got := n.neighbor("10.0.0.2"); got.State != "Established" || got.Flaps != 0 {
		t.Errorf("the other one is %s, ended %d times", got.State, got.Flaps)
	}
	for section, want := range map[string]bool{
		one: false, strings.Replace(one, "65001", "65007", 1): true, strings.Replace(one, "router-id: 10.0.0.1", "router-id: 10.0.0.9", 1): true,
		strings.Replace(one, "[10.0.0.1]", "[10.0.0.4]", 1): true, one + "  port: 1179\n": true, one + "  graceful-restart: true\n": false,
	} {
		if got := n.server.Restarts(parse(t, section)); got != want {
			t.Errorf("whether this needs a new Server: %v\n%s", got, section)
		}
	}
}
