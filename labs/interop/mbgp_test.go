package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"grove/daemon/api"
	grovev1 "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/daemon/nstest"
	"grove/internal/testneed"
	"grove/labs/interop/bird"
	"grove/labs/interop/frr"
)

// Two domains, a and b, on two links; in the tests of grove alone c is a router of a's DVMRP region:
//
//	        10.0.13.0/24       10.0.12.0/24, 2001:db8:12::/64: BGP
//	c eth1 ------------ eth3 a eth1 -------------------------- eth1 b
//	                         a eth2 -------------------------- eth2 b
//	                           10.0.21.0/24: the unicast way
//
// Multicast routes lead over eth1, static unicast routes to the same networks over eth2.
const speakerA = `hostname: a
interfaces:
  eth1: {addresses: [10.0.12.1/24, "2001:db8:12::1/64"], pim: {}, pim6: {}}
  eth2: {addresses: [10.0.21.1/24], pim: {}}
  eth3: {addresses: [10.0.13.1/24], dvmrp: {}}
routes: [{to: 10.2.0.0/16, via: 10.0.21.2}]
rpf-lookup: mrib-then-urib
bgp:
  as: 65001
  router-id: 10.255.0.1
  graceful-restart: true
  install-unicast: true
  neighbors:
    - {address: 10.0.12.2, as: 65002, password-file: PASSWORD, ttl-security: 1, connect-retry: 1s, hold-time: 9s, import: from-b, export: to-b}
    - {address: "2001:db8:12::2", as: 65002, families: [ipv6-multicast], connect-retry: 1s}
  networks:
    - {prefix: 10.1.0.0/16, med: 7}
    - {prefix: 10.4.0.0/16, into: [multicast], communities: ["65001:4"]}
    - {prefix: "2001:db8:1::/48", into: [multicast]}
  redistribute: [{from: dvmrp, into: [multicast]}]
  policies:
    - {policy: from-b, families: [ipv4-multicast], prefixes: [10.3.0.0/16 le 32], action: reject}
    - {policy: from-b, as-path: ^65002$, action: accept, local-preference: 250}
    - {policy: to-b, communities: ["65001:4"], action: accept, prepend: 2}
    - {policy: to-b, action: accept}
`

const speakerB = `hostname: b
interfaces:
  eth1: {addresses: [10.0.12.2/24, "2001:db8:12::2/64"], pim: {}, pim6: {}}
  eth2: {addresses: [10.0.21.2/24], pim: {}}
routes: [{to: 10.1.0.0/16, via: 10.0.21.1}]
rpf-lookup: mrib-then-urib
bgp:
  as: 65002
  router-id: 10.255.0.2
  graceful-restart: true
  neighbors:
    - {address: 10.0.12.1, as: 65001, password: geheim, ttl-security: 1, connect-retry: 1s, hold-time: 9s}
    - {address: "2001:db8:12::1", as: 65001, families: [ipv6-multicast], connect-retry: 1s}
  networks:
    - {prefix: 10.2.0.0/16, into: [multicast]}
    - {prefix: 10.3.0.0/16, into: [multicast]}
    - {prefix: 10.22.0.0/16, into: [unicast]}
    - {prefix: "2001:db8:2::/48", into: [multicast]}
`

const regionC = `hostname: c
interfaces:
  eth1: {addresses: [10.0.13.3/24], dvmrp: {}}
time-scale: 10
dvmrp: {originate: {networks: [{prefix: 10.5.0.0/16}]}}
`

// domain is a groved in a namespace.
type domain struct {
	t      *testing.T
	groved string
	space  *nstest.Space
	file   string
	log    string
	socket string
	cmd    *exec.Cmd
	client grovev1connect.RouterServiceClient
}

func newDomain(t *testing.T, groved string, space *nstest.Space, config string) *domain {
	t.Helper()
	dir := t.TempDir()
	d := &domain{t: t, groved: groved, space: space, file: filepath.Join(dir, "grove.yml"), log: filepath.Join(dir, "log"), socket: filepath.Join(dir, "s")}
	d.write(config)
	t.Cleanup(func() {
		d.end(syscall.SIGTERM)
		if t.Failed() {
			text, _ := os.ReadFile(d.log)
			t.Logf("%s:\n%s", space.Name, text)
		}
	})
	return d
}

func (d *domain) write(config string) {
	d.t.Helper()
	if err := os.WriteFile(d.file, []byte(config), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *domain) start() {
	d.t.Helper()
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	os.Remove(d.socket)
	d.cmd = exec.Command(d.groved, "-c", d.file, "--socket", d.socket)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.space.Do(func() { err = d.cmd.Start() })
	if err != nil {
		d.t.Fatal(err)
	}
	d.client = api.Dial(d.socket)
}

// end ends groved with a signal, and waits.
func (d *domain) end(s syscall.Signal) {
	if d.cmd != nil {
		d.cmd.Process.Signal(s)
		d.cmd.Wait()
		d.cmd = nil
	}
}

func (d *domain) reload(config string) {
	d.t.Helper()
	d.write(config)
	d.cmd.Process.Signal(syscall.SIGHUP)
}

// neighbor says the state of a session, "" if there is no answer.
func (d *domain) neighbor(address string) *grovev1.BGPNeighbor {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	r, err := d.client.ListBGPNeighbors(ctx, connect.NewRequest(&grovev1.ListBGPNeighborsRequest{Address: address}))
	if err != nil || len(r.Msg.Neighbors) != 1 {
		return &grovev1.BGPNeighbor{}
	}
	return r.Msg.Neighbors[0]
}

func (d *domain) state(address string) string { return d.neighbor(address).State }

// rpf says where an address is: "10.0.12.2 on eth1 by bgp".
func (d *domain) rpf(address string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	r, err := d.client.GetRPF(ctx, connect.NewRequest(&grovev1.GetRPFRequest{Address: address}))
	if err != nil {
		return err.Error()
	}
	p := r.Msg.Paths[0]
	if !p.Reachable {
		return "unreachable"
	}
	return fmt.Sprintf("%s on %s by %s", p.Hops[0].Gateway, p.Hops[0].Interface, p.Origin)
}

// route says what the neighbor's route to a prefix is: "65002 pref 250 stale", and how many there are not ours.
func (d *domain) route(family, prefix string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	r, err := d.client.ListBGPRoutes(ctx, connect.NewRequest(&grovev1.ListBGPRoutesRequest{Family: family, Destination: prefix}))
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, x := range r.Msg.Routes {
		if x.Ours {
			continue
		}
		text += x.AsPath
		if x.LocalPreference != nil {
			text += fmt.Sprint(" pref ", *x.LocalPreference)
		}
		if x.Med != nil {
			text += fmt.Sprint(" med ", *x.Med)
		}
		for _, c := range x.Communities {
			text += " " + c
		}
		if x.Stale {
			text += " stale"
		}
	}
	return text
}

// becomes waits until what f says is want.
func becomes(t *testing.T, what, want string, f func() string) {
	t.Helper()
	const within = 20 * time.Second
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	begin, got := time.Now(), ""
	for time.Since(begin) < within {
		if got = f(); got == want {
			t.Logf("%s: %s (after %v)", what, want, time.Since(begin).Round(time.Millisecond))
			return
		}
		<-tick.C
	}
	t.Fatalf("%s: %q, not %q within %v", what, got, want, within)
}

// roles says who opens the sessions.
var roles = []struct {
	name   string
	passes bool // grove waits for its neighbor
}{{"grove connects", false}, {"grove listens", true}}

// opened says who opened the session with b, by the ports of its connection.
func opened(a *domain) string {
	a.t.Helper()
	for line := range strings.Lines(a.space.Run("ss", "-Htn", "state", "established")) {
		switch f := strings.Fields(line); {
		case len(f) < 4:
		case f[2] == "10.0.12.1:179":
			return "grove listens"
		case f[3] == "10.0.12.2:179":
			return "grove connects"
		}
	}
	return "there is no session"
}

// domains makes the namespaces and a's groved. It is not started yet. replace are texts of its configuration and others for
// them, in pairs.
func domains(t *testing.T, replace ...string) (a *domain, b, c *nstest.Space) {
	t.Helper()
	testneed.Root(t)
	groved := testneed.Groved(t)
	spaceA := nstest.New(t, "a")
	b, c = nstest.New(t, "b"), nstest.New(t, "c")
	nstest.Veth(spaceA, "eth1", b, "eth1")
	nstest.Veth(spaceA, "eth2", b, "eth2")
	nstest.Veth(spaceA, "eth3", c, "eth1")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("geheim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer(append(replace, "PASSWORD", password)...).Replace(speakerA)
	return newDomain(t, groved, spaceA, config), b, c
}

// killed plays what follows when b is killed and comes back: what it told stays as it is, stale, until it has told it again.
func killed(t *testing.T, a *domain, kill, restart func() error) {
	t.Helper()
	if err := kill(); err != nil {
		t.Fatal(err)
	}
	const fresh = "65002 pref 250"
	route := func() string { return strings.ReplaceAll(a.route("ipv4-multicast", "10.2.0.0/16"), " med 0", "") }
	becomes(t, "a route of a neighbor that was killed", fresh+" stale", route)
	if got := a.rpf("10.2.0.9"); got != "10.0.12.2 on eth1 by bgp" {
		t.Errorf("RPF while the neighbor is dead: %s", got)
	}
	if err := restart(); err != nil {
		t.Fatal(err)
	}
	becomes(t, "a route of a neighbor that is back", fresh, route)
	becomes(t, "RPF with the neighbor that is back", "10.0.12.2 on eth1 by bgp", func() string { return a.rpf("10.2.0.9") })
}

// sessionsAndRoutes is what holds with every neighbor: a's RPF to b's networks follows the multicast routes and not the
// unicast ones, and policies hold.
func sessionsAndRoutes(t *testing.T, a *domain) {
	t.Helper()
	becomes(t, "session of IPv4", "Established", func() string { return a.state("10.0.12.2") })
	becomes(t, "session of IPv6", "Established", func() string { return a.state("2001:db8:12::2") })
	becomes(t, "RPF of b's source", "10.0.12.2 on eth1 by bgp", func() string { return a.rpf("10.2.0.9") })
	becomes(t, "RPF of b's source in IPv6", "2001:db8:12::2 on eth1 by bgp", func() string { return a.rpf("2001:db8:2::9") })
	becomes(t, "the local preference of the import policy", "65002 pref 250", func() string {
		return strings.ReplaceAll(a.route("ipv4-multicast", "10.2.0.0/16"), " med 0", "")
	})
	becomes(t, "what the import policy rejects", "", func() string { return a.route("ipv4-multicast", "10.3.0.0/16") })
	becomes(t, "the unicast route in the kernel", "true", func() string { return fmt.Sprint(a.space.HasRoute("10.22.0.0/16", "10.0.12.2")) })
	if got := a.route("ipv4-unicast", "10.2.0.0/16"); got != "" {
		t.Errorf("a multicast route leaked into the unicast routes: %s", got)
	}
}

// TestMBGP: two groveds.
func TestMBGP(t *testing.T) {
	t.Parallel()
	a, spaceB, spaceC := domains(t)
	b, c := newDomain(t, a.groved, spaceB, speakerB), newDomain(t, a.groved, spaceC, regionC)
	configA, err := os.ReadFile(a.file)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*domain{a, b, c} {
		d.start()
	}
	sessionsAndRoutes(t, a)
	becomes(t, "RPF of a's source at b", "10.0.12.1 on eth1 by bgp", func() string { return b.rpf("10.1.0.9") })
	becomes(t, "a's network at b", "65001 med 7", func() string { return b.route("ipv4-multicast", "10.1.0.0/16") })
	becomes(t, "the export policy", "65001 65001 65001 65001:4", func() string { return b.route("ipv4-multicast", "10.4.0.0/16") })
	becomes(t, "a network of the DVMRP region at b", "65001", func() string { return b.route("ipv4-multicast", "10.5.0.0/16") })

	// A network is withdrawn and a policy changed by a reload; the session stays.
	flaps := a.neighbor("10.0.12.2").Flaps
	changed := strings.ReplaceAll(string(configA), "local-preference: 250", "local-preference: 300")
	changed = regexp.MustCompile(`(?m)^.*10\.4\.0\.0/16.*\n`).ReplaceAllString(changed, "")
	a.reload(changed)
	becomes(t, "the network that is withdrawn", "", func() string { return b.route("ipv4-multicast", "10.4.0.0/16") })
	becomes(t, "the changed policy", "65002 pref 300", func() string { return a.route("ipv4-multicast", "10.2.0.0/16") })
	if n := a.neighbor("10.0.12.2"); n.State != "Established" || n.Flaps != flaps {
		t.Errorf("after a reload the session is %s, ended %d times, before %d", n.State, n.Flaps, flaps)
	}

	// b is killed: its routes stay until it is back.
	b.end(syscall.SIGKILL)
	becomes(t, "a route of a neighbor that restarts", "65002 pref 300 stale", func() string { return a.route("ipv4-multicast", "10.2.0.0/16") })
	if got := a.rpf("10.2.0.9"); got != "10.0.12.2 on eth1 by bgp" {
		t.Errorf("RPF while the neighbor restarts: %s", got)
	}
	b.start()
	becomes(t, "a route of a neighbor that is back", "65002 pref 300", func() string { return a.route("ipv4-multicast", "10.2.0.0/16") })

	// Another password: the session ends, and comes back with the right one.
	b.reload(strings.ReplaceAll(speakerB, "geheim", "falsch"))
	becomes(t, "RPF without the session", "10.0.21.2 on eth2 by static", func() string { return a.rpf("10.2.0.9") })
	if s := a.state("10.0.12.2"); s == "Established" {
		t.Error("a session with the wrong password")
	}
	b.reload(speakerB)
	becomes(t, "RPF with the session again", "10.0.12.2 on eth1 by bgp", func() string { return a.rpf("10.2.0.9") })

	// BGP goes from the configuration: nothing is left of it.
	a.reload(string(configA)[:strings.Index(string(configA), "bgp:\n")])
	becomes(t, "RPF without BGP", "10.0.21.2 on eth2 by static", func() string { return a.rpf("10.2.0.9") })
	becomes(t, "the unicast route in the kernel", "false", func() string { return fmt.Sprint(a.space.HasRoute("10.22.0.0/16", "10.0.12.2")) })
	if out := a.space.Run("ss", "-ltn"); strings.Contains(out, ":179") {
		t.Errorf("without BGP somebody listens:\n%s", out)
	}
	a.reload(string(configA))
	becomes(t, "the unicast route in the kernel again", "true", func() string { return fmt.Sprint(a.space.HasRoute("10.22.0.0/16", "10.0.12.2")) })
	a.end(syscall.SIGTERM)
	if a.space.HasRoute("10.22.0.0/16", "10.0.12.2") {
		t.Error("a route of BGP is left in the kernel")
	}
}

// TestMBGPWithFRR: b is FRR 8.4.4. It has our multicast routes in its MRIB; its own RPF check does not look there (see doc.go).
func TestMBGPWithFRR(t *testing.T) {
	for _, role := range roles {
		t.Run(role.name, func(t *testing.T) {
			t.Parallel()
			if role.passes {
				testMBGPWithFRR(t, role.name, frr.New(t, "testdata/mbgp/b.frr"), "connect-retry: 1s", "passive: true")
			} else {
				testMBGPWithFRR(t, role.name, frr.New(t, "testdata/mbgp/b.frr", "timers connect 1", "passive"))
			}
		})
	}
}

func testMBGPWithFRR(t *testing.T, role string, peer *frr.Router, replace ...string) {
	a, b, _ := domains(t, replace...)
	var err error
	b.Do(func() { err = peer.Start(t.Context(), t.TempDir()) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		peer.Stop()
		if t.Failed() {
			t.Log(peer.Logs())
		}
	})
	a.start()
	sessionsAndRoutes(t, a)
	becomes(t, "who opened the session", role, func() string { return opened(a) })
	vty := func(daemon, command, pattern string) func() string {
		re := regexp.MustCompile(pattern)
		return func() string {
			out, err := peer.VTY(daemon, command)
			if err != nil {
				return err.Error()
			}
			return re.FindString(out)
		}
	}
	becomes(t, "a's network at FRR", `10.1.0.0/16      10.0.12.1                7             0 65001 i`,
		vty("bgpd", "show bgp ipv4 multicast", `10\.1\.0\.0/16 .* i`))
	becomes(t, "a's network in IPv6 at FRR", "2001:db8:1::/48", vty("bgpd", "show bgp ipv6 multicast", `2001:db8:1::/48`))
	becomes(t, "a's network in FRR's MRIB", "B>  10.1.0.0/16 [20/7] via 10.0.12.1, eth1", vty("zebra", "show ip rpf", `B>  10\.1\.0\.0/16 .* eth1`))
	b.Down("eth1")
	becomes(t, "RPF without the link", "10.0.21.2 on eth2 by static", func() string { return a.rpf("10.2.0.9") })
	b.Up("eth1")
	becomes(t, "RPF with the link again", "10.0.12.2 on eth1 by bgp", func() string { return a.rpf("10.2.0.9") })
	killed(t, a, func() error { return peer.Kill("bgpd") }, func() (err error) {
		b.Do(func() { err = peer.Restart(t.Context(), "bgpd") })
		return err
	})
}

// TestMBGPWithBIRD: b is BIRD 2.
func TestMBGPWithBIRD(t *testing.T) {
	for _, role := range roles {
		t.Run(role.name, func(t *testing.T) {
			t.Parallel()
			if role.passes {
				testMBGPWithBIRD(t, role.name, bird.New(t, "testdata/mbgp/bird.conf"), "connect-retry: 1s", "passive: true")
			} else {
				testMBGPWithBIRD(t, role.name, bird.New(t, "testdata/mbgp/bird.conf", "connect retry time 1", "passive on"))
			}
		})
	}
}

func testMBGPWithBIRD(t *testing.T, role string, peer *bird.Router, replace ...string) {
	a, b, _ := domains(t, replace...)
	b.Addr("eth1", "10.0.12.2/24")
	b.Addr("eth1", "2001:db8:12::2/64")
	b.Addr("eth2", "10.0.21.2/24")
	b.Up("eth1")
	b.Up("eth2")
	dir := t.TempDir()
	start := func() (err error) {
		b.Do(func() { err = peer.Start(dir) })
		return err
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		peer.Stop()
		if t.Failed() {
			t.Log(peer.Log())
		}
	})
	a.start()
	sessionsAndRoutes(t, a)
	becomes(t, "who opened the session", role, func() string { return opened(a) })
	ask := func(command, pattern string) func() string {
		re := regexp.MustCompile(pattern)
		return func() string {
			out, err := peer.Ask(command)
			if err != nil {
				return err.Error()
			}
			return strings.Join(slices.Compact(re.FindAllString(out, -1)), " ")
		}
	}
	becomes(t, "a's network at BIRD", "10.1.0.0/16", ask("show route table multicast4 protocol four", `10\.1\.0\.0/16`))
	becomes(t, "a's MED at BIRD", "BGP.med: 7", ask("show route 10.1.0.0/16 table multicast4 all", `BGP.med: 7`))
	becomes(t, "the prepended path at BIRD", "65001 65001 65001", ask("show route 10.4.0.0/16 table multicast4 all", `65001 65001 65001`))
	becomes(t, "a's network in IPv6 at BIRD", "2001:db8:1::/48", ask("show route table multicast6", `2001:db8:1::/48`))
	if _, err := peer.Ask("disable four"); err != nil {
		t.Fatal(err)
	}
	becomes(t, "RPF without the session", "10.0.21.2 on eth2 by static", func() string { return a.rpf("10.2.0.9") })
	if _, err := peer.Ask("enable four"); err != nil {
		t.Fatal(err)
	}
	becomes(t, "RPF with the session again", "10.0.12.2 on eth1 by bgp", func() string { return a.rpf("10.2.0.9") })
	killed(t, a, peer.Kill, start)
}

// TestMBGPRedistribute: b announces the networks of its interfaces and the kernel's static routes, and follows both.
func TestMBGPRedistribute(t *testing.T) {
	t.Parallel()
	a, spaceB, _ := domains(t)
	b := newDomain(t, a.groved, spaceB, speakerB+`  redistribute:
    - {from: connected, into: [multicast], med: 3}
    - {from: static, into: [multicast], med: 4}
`)
	a.start()
	b.start()
	at := func(family, prefix string) func() string { return func() string { return a.route(family, prefix) } }
	becomes(t, "a connected network", "65002 pref 250 med 3", at("ipv4-multicast", "10.0.21.0/24"))
	becomes(t, "a connected network of IPv6", "65002 med 3", at("ipv6-multicast", "2001:db8:12::/64"))
	becomes(t, "a static route of the configuration", "65002 pref 250 med 4", at("ipv4-multicast", "10.1.0.0/16"))
	becomes(t, "a network that is announced by itself", "65002 pref 250", func() string {
		return strings.ReplaceAll(a.route("ipv4-multicast", "10.2.0.0/16"), " med 0", "")
	})
	if got := a.route("ipv4-unicast", "10.0.21.0/24"); got != "" {
		t.Errorf("a connected network is among the unicast routes: %s", got)
	}
	spaceB.Run("ip", "route", "add", "10.77.0.0/16", "via", "10.0.12.1", "proto", "static")
	becomes(t, "a static route of somebody else's", "65002 pref 250 med 4", at("ipv4-multicast", "10.77.0.0/16"))
	spaceB.Run("ip", "route", "add", "10.78.0.0/16", "via", "10.0.12.1", "proto", "ospf")
	spaceB.Run("ip", "route", "del", "10.77.0.0/16", "via", "10.0.12.1", "proto", "static")
	becomes(t, "it is gone", "", at("ipv4-multicast", "10.77.0.0/16"))
	if got := a.route("ipv4-multicast", "10.78.0.0/16"); got != "" {
		t.Errorf("a route of OSPF is announced: %s", got)
	}
	spaceB.Addr("eth2", "10.79.0.1/24")
	becomes(t, "another address", "65002 pref 250 med 3", at("ipv4-multicast", "10.79.0.0/24"))
	spaceB.Down("eth2")
	becomes(t, "an interface goes down", "", at("ipv4-multicast", "10.79.0.0/24"))
	becomes(t, "with its other network", "", at("ipv4-multicast", "10.0.21.0/24"))
}

// TestMBGPKilled: what a groved that was killed left in the kernel: the next one takes over the routes that it learns again, without
// a gap, and removes the others after the restart time. Routes that are not its own stay. Without graceful restart they go at once.
func TestMBGPKilled(t *testing.T) {
	t.Parallel()
	a, spaceB, _ := domains(t)
	b := newDomain(t, a.groved, spaceB, strings.Replace(speakerB, "10.22.0.0/16", "10.22.0.0/16, into: [unicast]}\n    - {prefix: 10.23.0.0/16", 1))
	data, err := os.ReadFile(a.file)
	if err != nil {
		t.Fatal(err)
	}
	restarts := strings.Replace(string(data), "graceful-restart: true", "graceful-restart: true\n  restart-time: 20s", 1)
	a.write(restarts)
	a.start()
	b.start()
	has := func(prefix string) func() string {
		return func() string { return fmt.Sprint(a.space.HasRoute(prefix, "10.0.12.2")) }
	}
	becomes(t, "a route", "true", has("10.22.0.0/16"))
	becomes(t, "another", "true", has("10.23.0.0/16"))
	a.space.Run("ip", "route", "add", "10.24.0.0/16", "via", "10.0.12.2", "proto", "bgp", "metric", "30")
	a.space.Run("ip", "route", "add", "10.25.0.0/16", "via", "10.0.12.2", "proto", "static", "metric", "20")

	a.end(syscall.SIGKILL)
	b.reload(speakerB) // without 10.23.0.0/16
	var monitor *exec.Cmd
	changes := filepath.Join(t.TempDir(), "changes")
	out, err := os.Create(changes)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	monitor = exec.Command("ip", "monitor", "route")
	monitor.Stdout = out
	a.space.Do(func() { err = monitor.Start() })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		monitor.Process.Kill()
		monitor.Wait()
	}()
	a.start()
	becomes(t, "the session", "Established", func() string { return a.state("10.0.12.2") })
	if has("10.23.0.0/16")() != "true" {
		t.Error("a route that is not confirmed went before the restart time")
	}
	becomes(t, "what is not confirmed", "false", has("10.23.0.0/16"))
	seen := func() string {
		text, _ := os.ReadFile(changes)
		return string(text)
	}
	becomes(t, "the end of it was seen", "true", func() string { return fmt.Sprint(strings.Contains(seen(), "Deleted 10.23.0.0/16")) })
	if strings.Contains(seen(), "Deleted 10.22.0.0/16") {
		t.Errorf("a route that is confirmed was away:\n%s", seen())
	}
	for _, prefix := range []string{"10.22.0.0/16", "10.24.0.0/16", "10.25.0.0/16"} {
		if has(prefix)() != "true" {
			t.Errorf("%s is gone", prefix)
		}
	}

	a.end(syscall.SIGKILL)
	b.end(syscall.SIGTERM)
	a.write(strings.Replace(restarts, "graceful-restart: true", "graceful-restart: false", 1))
	a.start()
	becomes(t, "without graceful restart", "false", has("10.22.0.0/16"))
	for _, prefix := range []string{"10.24.0.0/16", "10.25.0.0/16"} {
		if has(prefix)() != "true" {
			t.Errorf("%s is gone", prefix)
		}
	}
}
