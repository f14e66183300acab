package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Hello is a Hello message (RFC 7761 section 4.9.2): options, in the order in which they are on the wire.
type Hello struct{ Options []Option }

// Option is one of Holdtime, LANPruneDelay, DRPriority, GenerationID, StateRefreshCapable, AddressList and
// UnknownOption.
type Option interface {
	optionType() uint16
	appendValue(b []byte) ([]byte, error)
}

// The option types that have a Go type of their own.
const (
	optionHoldtime            = 1
	optionLANPruneDelay       = 2
	optionDRPriority          = 19
	optionGenerationID        = 20
	optionStateRefreshCapable = 21
	optionAddressList         = 24
)

// Holdtime is how long a receiver must keep the neighbor reachable: 0 is a goodbye. On the wire it is whole seconds,
// rounded up.
type Holdtime time.Duration

// LANPruneDelay tunes the prune propagation delay (section 4.3.3). On the wire the times are whole milliseconds,
// rounded up.
type LANPruneDelay struct {
	TrackingSupport  bool          // the T bit: able to disable Join suppression
	PropagationDelay time.Duration // at most 32767 ms
	OverrideInterval time.Duration // at most 65535 ms
}

// DRPriority is the sender's preference in the election of the Designated Router.
type DRPriority uint32

// GenerationID is a random number that is new whenever PIM starts on the interface.
type GenerationID uint32

// StateRefreshCapable says that the sender takes part in State Refresh (RFC 3973 section 4.7.5.4).
type StateRefreshCapable struct {
	Version  uint8         // 1
	Interval time.Duration // the sender's; whole seconds, rounded up, at most 255
}

// StateRefreshVersion is the version of State Refresh in RFC 3973.
const StateRefreshVersion = 1

// AddressList lists the secondary addresses of the sender's interface, all of one family.
type AddressList []netip.Addr

// UnknownOption is an option of any other type, as it came.
type UnknownOption struct {
	OptionType uint16
	Value      []byte
}

// Type returns TypeHello.
func (*Hello) Type() Type { return TypeHello }

// The accessors return what the message says, of the last option if there are several of a type.

// Holdtime returns the value of the Holdtime option and whether there is one.
func (h *Hello) Holdtime() (time.Duration, bool) {
	v, ok := last[Holdtime](h)
	return time.Duration(v), ok
}

// LANPruneDelay returns the LAN Prune Delay option and whether there is one.
func (h *Hello) LANPruneDelay() (LANPruneDelay, bool) { return last[LANPruneDelay](h) }

// DRPriority returns the value of the DR Priority option and whether there is one.
func (h *Hello) DRPriority() (uint32, bool) {
	v, ok := last[DRPriority](h)
	return uint32(v), ok
}

// GenerationID returns the value of the Generation ID option and whether there is one.
func (h *Hello) GenerationID() (uint32, bool) {
	v, ok := last[GenerationID](h)
	return uint32(v), ok
}

// StateRefreshCapable returns the State Refresh Capable option and whether there is one.
func (h *Hello) StateRefreshCapable() (StateRefreshCapable, bool) {
	return last[StateRefreshCapable](h)
}

// AddressList returns the addresses of all Address List options.
func (h *Hello) AddressList() []netip.Addr {
	var all []netip.Addr
	for _, o := range h.Options {
		if l, ok := o.(AddressList); ok {
			all = append(all, l...)
		}
	}
	return all
}

func last[T Option](h *Hello) (v T, ok bool) {
	for _, o := range h.Options {
		if t, is := o.(T); is {
			v, ok = t, true
		}
	}
	return v, ok
}

// Append appends the options.
func (h *Hello) Append(b []byte) ([]byte, error) {
	for _, o := range h.Options {
		b = binary.BigEndian.AppendUint16(b, o.optionType())
		b = append(b, 0, 0)
		start := len(b)
		var err error
		if b, err = o.appendValue(b); err != nil {
			return nil, fmt.Errorf("option %d: %w", o.optionType(), err)
		}
		n := len(b) - start
		if n > 0xffff {
			return nil, fmt.Errorf("option %d: %d bytes: %w", o.optionType(), n, ErrRange)
		}
		binary.BigEndian.PutUint16(b[start-2:], uint16(n))
	}
	return b, nil
}

func parseHello(r *reader) (*Hello, error) {
	h := &Hello{}
	for len(r.b) > 0 {
		typ, length := r.uint16(), r.uint16()
		value := reader{b: r.take(int(length)), family: r.family}
		if r.err != nil {
			return nil, fmt.Errorf("option %d: %w", len(h.Options)+1, r.err)
		}
		o := parseOption(typ, &value)
		if value.err != nil {
			return nil, fmt.Errorf("option %d: type %d: %w", len(h.Options)+1, typ, value.err)
		}
		h.Options = append(h.Options, o)
	}
	return h, nil
}

// optionLengths are the lengths of the options that have a fixed one.
var optionLengths = map[uint16]int{
	optionHoldtime: 2, optionLANPruneDelay: 4, optionDRPriority: 4, optionGenerationID: 4, optionStateRefreshCapable: 4,
}

func parseOption(typ uint16, r *reader) Option {
	if want, ok := optionLengths[typ]; ok && len(r.b) != want {
		r.fail(fmt.Errorf("%d bytes: %w", len(r.b), ErrOptionLength))
		return nil
	}
	switch typ {
	case optionHoldtime:
		return Holdtime(r.holdtime())
	case optionLANPruneDelay:
		delay, interval := r.uint16(), r.uint16()
		return LANPruneDelay{
			TrackingSupport:  delay&0x8000 != 0,
			PropagationDelay: time.Duration(delay&0x7fff) * time.Millisecond,
			OverrideInterval: time.Duration(interval) * time.Millisecond,
		}
	case optionDRPriority:
		return DRPriority(r.uint32())
	case optionGenerationID:
		return GenerationID(r.uint32())
	case optionStateRefreshCapable:
		o := StateRefreshCapable{Version: r.uint8(), Interval: time.Duration(r.uint8()) * time.Second}
		r.uint16() // reserved
		return o
	case optionAddressList:
		return parseAddressList(r)
	}
	return UnknownOption{OptionType: typ, Value: slices.Clone(r.b)}
}

func parseAddressList(r *reader) AddressList {
	var l AddressList
	for len(r.b) > 0 && r.err == nil {
		a := r.unicast()
		// RFC 7761, section 4.3.4: within one list, all the addresses MUST be of the same address family.
		if r.err == nil && len(l) > 0 && a.Is4() != l[0].Is4() {
			r.fail(ErrFamily)
		}
		if r.err != nil {
			r.err = fmt.Errorf("address %d: %w", len(l)+1, r.err)
			return nil
		}
		l = append(l, a)
	}
	return l
}

func (Holdtime) optionType() uint16            { return optionHoldtime }
func (LANPruneDelay) optionType() uint16       { return optionLANPruneDelay }
func (DRPriority) optionType() uint16          { return optionDRPriority }
func (GenerationID) optionType() uint16        { return optionGenerationID }
func (StateRefreshCapable) optionType() uint16 { return optionStateRefreshCapable }
func (AddressList) optionType() uint16         { return optionAddressList }
func (o UnknownOption) optionType() uint16     { return o.OptionType }

func (o Holdtime) appendValue(b []byte) ([]byte, error) { return appendHoldtime(b, time.Duration(o)) }

func (o LANPruneDelay) appendValue(b []byte) ([]byte, error) {
	delay, interval := milliseconds(o.PropagationDelay), milliseconds(o.OverrideInterval)
	if delay < 0 || delay > 0x7fff || interval < 0 || interval > 0xffff {
		return nil, fmt.Errorf("%v, %v: %w", o.PropagationDelay, o.OverrideInterval, ErrRange)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(flag(o.TrackingSupport, 0x80))<<8|uint16(delay))
	return binary.BigEndian.AppendUint16(b, uint16(interval)), nil
}

func (o DRPriority) appendValue(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint32(b, uint32(o)), nil
}

func (o GenerationID) appendValue(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint32(b, uint32(o)), nil
}

func (o StateRefreshCapable) appendValue(b []byte) ([]byte, error) {
	interval, err := intervalOf(o.Interval)
	return append(b, o.Version, interval, 0, 0), err
}

func (o AddressList) appendValue(b []byte) ([]byte, error) {
	var err error
	for i, a := range o {
		if a.Is4() != o[0].Is4() {
			return nil, fmt.Errorf("address %d: %w", i+1, ErrFamily)
		}
		if b, err = appendUnicast(b, a); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (o UnknownOption) appendValue(b []byte) ([]byte, error) { return append(b, o.Value...), nil }

// milliseconds rounds up to whole milliseconds.
func milliseconds(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
