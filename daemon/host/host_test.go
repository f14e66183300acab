package host

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"grove/daemon/config"
	"grove/daemon/nstest"
	"grove/internal/engine"
)

// running is a host in a namespace of its own.
type running struct {
	*Host
	t      testing.TB
	events <-chan Event
	stop   func() // real shutdown; once
}

// run runs a host with a configuration until the end of the test.
func run(t testing.TB, s *nstest.Space, file string) *running {
	t.Helper()
	cfg, err := config.Parse(s.Name+".yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	log := logrus.New()
	log.SetOutput(testLog{t})
	log.SetLevel(logrus.DebugLevel)
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, TimestampFormat: "05.000000"})
	var h *Host
	s.Do(func() { h, err = New(cfg, log.WithField("host", s.Name)) })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Host: h, t: t, events: h.Watch(context.Background())}
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	r.stop = func() {
		cancel()
		select {
		case err := <-ended:
			ended <- err
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the host does not end")
		}
	}
	t.Cleanup(r.stop)
	select {
	case <-h.Ready():
	case err := <-ended:
		ended <- err
		t.Fatalf("%s: %v", s.Name, err)
	case <-time.After(10 * time.Second):
		t.Fatalf("%s is not ready", s.Name)
	}
	return r
}

// testLog prints a host's log as the test's.
type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimRight(b, "\n"))
	return len(b), nil
}

// transition waits for a Transition that ok accepts, and returns it.
func (r *running) transition(what string, ok func(string, engine.Transition) bool) engine.Transition {
	r.t.Helper()
	return r.transitions(what, ok)[0]
}

// transitions waits for a Transition for each of ok, in any order.
func (r *running) transitions(what string, ok ...func(string, engine.Transition) bool) []engine.Transition {
	r.t.Helper()
	timeout := time.After(10 * time.Second)
	found := make([]engine.Transition, len(ok))
	for left := len(ok); left > 0; {
		select {
		case e := <-r.events:
			tr, is := e.Effect.(engine.Transition)
			for i := range ok {
				if is && found[i] == (engine.Transition{}) && ok[i](e.Interface, tr) {
					found[i] = tr
					left--
				}
			}
		case <-timeout:
			r.t.Fatalf("no transition: %s", what)
		}
	}
	return found
}

// eventually waits for something that the kernel does and tells nobody.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

const wires = `
hostname: r1
interfaces:
  eth1:
    addresses: [10.0.1.1/24, "2001:db8:1::1/64"]
  eth2:
    addresses: [10.0.2.1/24]
routes:
  - {to: 10.9.0.0/16, via: 10.0.1.9}
  - {to: 10.9.0.0/16, via: 10.0.2.9, metric: 50}
  - {to: "2001:db8:9::/48", via: "2001:db8:1::9"}
`

// A configuration without protocols: addresses and routes are put on the interfaces that are there.
func TestKeepsAddressesAndRoutes(t *testing.T) {
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	a.Down("eth1") // the host sets it up
	r := run(t, a, wires)
	complete := func() bool {
		return a.HasAddr("eth1", "10.0.1.1/24") && a.HasAddr("eth1", "2001:db8:1::1/64") &&
			a.HasRoute("10.9.0.0/16", "10.0.1.9") && a.HasRoute("2001:db8:9::/48", "2001:db8:1::9")
	}
	eventually(t, 5*time.Second, "addresses and routes at start", complete)

	// An interface that comes later, as containerlab does it.
	nstest.Veth(a, "eth2", b, "eth2")
	eventually(t, 5*time.Second, "the late interface", func() bool {
		return a.HasAddr("eth2", "10.0.2.1/24") && a.HasRoute("10.9.0.0/16", "10.0.2.9")
	})

	// Set down by an operator it stays down, although Linux took the routes and the IPv6 address; up again, all is back.
	a.Down("eth1")
	eventually(t, 5*time.Second, "the link is down", func() bool {
		value, err := r.Query(t.Context(), engine.MachineID{Protocol: Self}, "interfaces", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range value.([]Interface) {
			if i.Name == "eth1" && !i.Up && i.Configured {
				return true
			}
		}
		return false
	})
	if a.HasRoute("10.9.0.0/16", "10.0.1.9") {
		t.Error("the route by a link that is down is there")
	}
	a.Up("eth1")
	eventually(t, 5*time.Second, "all back after the link", complete)

	// An address that somebody deletes is back, with the routes that went with it.
	a.DelAddr("eth1", "10.0.1.1/24")
	a.DelAddr("eth1", "2001:db8:1::1/64")
	eventually(t, 5*time.Second, "all back after the addresses", complete)

	// Deleted and made again: another interface with the same name.
	a.Delete("eth1")
	nstest.Veth(a, "eth1", b, "eth1")
	eventually(t, 5*time.Second, "all back on the new interface", complete)

	// At the end everything stays.
	r.stop()
	if !complete() {
		t.Error("something went with the host")
	}
}

// A reload takes back what is no longer wanted and adds what is.
func TestReload(t *testing.T) {
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	nstest.Veth(a, "eth2", b, "eth2")
	r := run(t, a, wires)
	eventually(t, 5*time.Second, "start", func() bool { return a.HasRoute("10.9.0.0/16", "10.0.2.9") })
	cfg, err := config.Parse("new.yaml", []byte(`
interfaces:
  eth1: {addresses: [10.0.1.2/24]}
  eth2: {addresses: [10.0.2.1/24], igmp: {}}
routes:
  - {to: 10.8.0.0/16, via: 10.0.2.9}
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the new configuration", func() bool {
		return a.HasAddr("eth1", "10.0.1.2/24") && !a.HasAddr("eth1", "10.0.1.1/24") && !a.HasAddr("eth1", "2001:db8:1::1/64") &&
			a.HasAddr("eth2", "10.0.2.1/24") && a.HasRoute("10.8.0.0/16", "10.0.2.9") &&
			!a.HasRoute("10.9.0.0/16", "10.0.1.9") && !a.HasRoute("10.9.0.0/16", "10.0.2.9")
	})
	// The protocol that the reload brought runs in the host's namespace, on a table of its own.
	if got := a.Run("cat", "/proc/net/ip_mr_vif"); !bytes.Contains([]byte(got), []byte("eth2")) {
		t.Errorf("VIFs: %s", got)
	}
	table := *cfg
	table.Table = 7
	if err := r.Reload(t.Context(), &table); err == nil {
		t.Error("the table changed")
	}
}
