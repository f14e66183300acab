package netns

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"grove/labs/script"
	"grove/labs/traffic"
)

// hostInterface is the interface of a host that its applications use, as in containerlab: eth0 is for management.
const hostInterface = "eth1"

// memberKey is a host and a group: what a script's joins and sends are known by.
type memberKey struct {
	host  string
	group netip.Addr
}

// member is an application on a host that listens to a group.
type member struct {
	account traffic.Account
	joins   int // how often the host has joined, with this time
	since   time.Time
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// stop ends the membership. The account stays.
func (m *member) stop() {
	m.cancel()
	m.done.Wait()
}

// sender is an application on a host that sends to a group.
type sender struct {
	began  time.Time
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func (s *sender) stop() {
	s.cancel()
	s.done.Wait()
}

func (e *Engine) join(a *script.Membership) error {
	opts := traffic.RecvOptions{Interface: hostInterface, Group: a.Group}
	if a.Source.IsValid() {
		opts.Sources = []netip.Addr{a.Source}
	}
	var r *traffic.Receiver
	err := e.nodes[a.Host].space.do(func() (err error) {
		r, err = traffic.Listen(opts)
		return err
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{joins: 1, since: time.Now(), cancel: cancel}
	m.done.Go(func() {
		defer r.Close()
		r.Receive(ctx, &m.account, 0, nil)
	})
	k := memberKey{a.Host, a.Group}
	e.mu.Lock()
	former := e.members[k]
	if former != nil {
		m.joins += former.joins
	}
	e.members[k] = m
	e.mu.Unlock()
	if former != nil {
		former.stop()
	}
	return nil
}

func (e *Engine) leave(a *script.Membership) error {
	e.mu.Lock()
	m := e.members[memberKey{a.Host, a.Group}]
	e.mu.Unlock()
	if m != nil {
		m.stop()
	}
	return nil
}

func (e *Engine) send(a *script.Send) error {
	headers := 20 + 8
	if a.Group.Is6() {
		headers = 40 + 8
	}
	var s *traffic.Sender
	err := e.nodes[a.Host].space.do(func() (err error) {
		s, err = traffic.NewSender(traffic.SendOptions{
			Interface: hostInterface, Group: a.Group, Rate: float64(a.Rate), Size: a.Size - headers, TTL: uint8(a.TTL),
		})
		return err
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	snd := &sender{began: time.Now(), cancel: cancel}
	snd.done.Go(func() {
		defer s.Close()
		s.Run(ctx)
	})
	k := memberKey{a.Host, a.Group}
	e.mu.Lock()
	former := e.senders[k]
	e.senders[k] = snd
	e.mu.Unlock()
	if former != nil {
		former.stop()
	}
	return nil
}

func (e *Engine) stopSending(a *script.Send) error {
	e.mu.Lock()
	s := e.senders[memberKey{a.Host, a.Group}]
	e.mu.Unlock()
	if s != nil {
		s.stop()
	}
	return nil
}

// Received implements script.Engine.
func (e *Engine) Received(host string, group netip.Addr) script.Received {
	e.mu.Lock()
	m := e.members[memberKey{host, group}]
	began := time.Time{} // when the last sender to the group began
	for k, s := range e.senders {
		if k.group == group && s.began.After(began) {
			began = s.began
		}
	}
	e.mu.Unlock()
	if m == nil {
		return script.Received{}
	}
	r := script.Received{Joins: m.joins}
	for _, f := range m.account.Flows() {
		r.Packets += int(f.Unique())
		r.Duplicates += int(f.Duplicates)
		r.TTL = f.TTL
		if first := f.FirstAt.Sub(m.since); r.First == 0 || first < r.First {
			r.First = first
		}
		if m.since.Before(began) { // it was there before packet 0
			r.Lost += int(f.LostSince(0))
		} else {
			r.Lost += int(f.Lost())
		}
	}
	return r
}
