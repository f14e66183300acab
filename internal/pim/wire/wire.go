package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
)

// Type is the type of a PIM message (RFC 7761 section 4.9, RFC 3973, RFC 5059, RFC 5015).
type Type uint8

// The types of PIM version 2.
const (
	TypeHello        Type = 0
	TypeRegister     Type = 1
	TypeRegisterStop Type = 2
	TypeJoinPrune    Type = 3
	TypeBootstrap    Type = 4
	TypeAssert       Type = 5
	TypeGraft        Type = 6
	TypeGraftAck     Type = 7
	TypeCandidateRP  Type = 8
	TypeStateRefresh Type = 9
	TypeDFElection   Type = 10
)

var typeNames = [16]string{
	"hello", "register", "register-stop", "join/prune", "bootstrap", "assert", "graft", "graft-ack", "candidate-rp",
	"state-refresh", "df-election", "type 11", "type 12", "type 13", "type 14", "type 15",
}

// String returns the name of the type, as "join/prune".
func (t Type) String() string { return typeNames[t&0xf] }

// Forever is a holdtime that never ends: 0xffff on the wire.
const Forever = 0xffff * time.Second

// headerLen is the length of the header that all messages share; registerLen adds the flags of a Register, and is what
// its checksum covers.
const (
	headerLen   = 4
	registerLen = 8
	version     = 2
)

var (
	allPIMRouters4 = netip.AddrFrom4([4]byte{224, 0, 0, 13})
	allPIMRouters6 = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x0d})
)

// AllPIMRouters returns the ALL-PIM-ROUTERS group of a family: 224.0.0.13 or ff02::d.
func AllPIMRouters(f engine.Family) netip.Addr {
	if f == engine.IPv4 {
		return allPIMRouters4
	}
	return allPIMRouters6
}

// Message is one of *Hello, *Register, *RegisterStop, *JoinPrune, *Bootstrap, *Assert, *Graft, *GraftAck, *CandidateRPAdv
// and *StateRefresh.
type Message interface {
	// Type returns the type that the header carries.
	Type() Type
	// Append appends the message without the common header: Encode adds that.
	Append(b []byte) ([]byte, error)
}

// Parse reads the payload of an IP packet from src to dst: it checks the version, the checksum, that the type is one of
// Message's and sent to a destination that befits it, and the body. Bytes after the end of the body are ignored.
func Parse(b []byte, src, dst netip.Addr) (Message, error) {
	if !samePair(src, dst) {
		return nil, fmt.Errorf("pim: from %v to %v: %w", src, dst, ErrFamily)
	}
	if len(b) < headerLen {
		return nil, fmt.Errorf("pim: header: %w", ErrTruncated)
	}
	if v := b[0] >> 4; v != version {
		return nil, fmt.Errorf("pim: header: version %d: %w", v, ErrVersion)
	}
	typ := Type(b[0] & 0xf)
	if typ == TypeRegister && len(b) < registerLen {
		return nil, fmt.Errorf("pim: %v: %w", typ, ErrTruncated)
	}
	if !checksumGood(typ, b, src, dst) {
		return nil, fmt.Errorf("pim: %v: %w", typ, ErrChecksum)
	}
	switch typ {
	case TypeHello, TypeJoinPrune, TypeAssert, TypeStateRefresh:
		// RFC 7761, section 4.9: a message whose destination does not befit its type MUST be discarded.
		if dst != AllPIMRouters(engine.FamilyOf(dst)) {
			return nil, fmt.Errorf("pim: %v: to %v: %w", typ, dst, ErrDestination)
		}
	case TypeRegister, TypeRegisterStop, TypeGraftAck, TypeCandidateRP:
		// RFC 3973, section 4.7: a Graft-Ack MUST be unicast to the sender of the Graft.
		if dst.IsMulticast() {
			return nil, fmt.Errorf("pim: %v: to %v: %w", typ, dst, ErrDestination)
		}
	case TypeGraft, TypeBootstrap:
		// RFC 3973, section 4.7: "Graft messages SHOULD be unicast to the RPF'(S)". Others multicast them. RFC 5059,
		// section 3.5.2: a Bootstrap message may be unicast to a new neighbor.
		if dst.IsMulticast() && dst != AllPIMRouters(engine.FamilyOf(dst)) {
			return nil, fmt.Errorf("pim: %v: to %v: %w", typ, dst, ErrDestination)
		}
	default:
		return nil, &TypeError{typ}
	}
	r := reader{b: b[headerLen:], family: engine.FamilyOf(dst)}
	var m Message
	var err error
	switch typ {
	case TypeHello:
		m, err = parseHello(&r)
	case TypeRegister:
		m, err = parseRegister(&r)
	case TypeRegisterStop:
		m, err = parseRegisterStop(&r)
	case TypeJoinPrune:
		m, err = parseJoinPrune(&r)
	case TypeAssert:
		m, err = parseAssert(&r)
	case TypeGraft:
		var jp *JoinPrune
		jp, err = parseJoinPrune(&r)
		m = (*Graft)(jp)
	case TypeGraftAck:
		var jp *JoinPrune
		jp, err = parseJoinPrune(&r)
		m = (*GraftAck)(jp)
	case TypeStateRefresh:
		m, err = parseStateRefresh(&r)
	case TypeBootstrap:
		m, err = parseBootstrap(&r, b[1])
	case TypeCandidateRP:
		m, err = parseCandidateRPAdv(&r)
	}
	if err != nil {
		return nil, fmt.Errorf("pim: %v: %w", typ, err)
	}
	return m, nil
}

// Encode returns the payload of an IP packet from src to dst that carries m. For IPv4 src may be invalid: only the
// checksum of IPv6 covers the addresses.
func Encode(m Message, src, dst netip.Addr) ([]byte, error) {
	if !samePair(src, dst) {
		return nil, fmt.Errorf("pim: %v: from %v to %v: %w", m.Type(), src, dst, ErrFamily)
	}
	b, err := m.Append([]byte{version<<4 | byte(m.Type()), 0, 0, 0})
	if err != nil {
		return nil, fmt.Errorf("pim: %v: %w", m.Type(), err)
	}
	if bsm, ok := m.(*Bootstrap); ok {
		b[1] = flag(bsm.NoForward, bootstrapNoForward)
	}
	covered := b
	if m.Type() == TypeRegister {
		covered = b[:registerLen]
	}
	binary.BigEndian.PutUint16(b[2:], ^ip.Fold(ip.Sum(pseudoSum(len(covered), src, dst), covered)))
	return b, nil
}

// samePair says whether a packet can go from src to dst; for IPv4 src may be unknown.
func samePair(src, dst netip.Addr) bool {
	return dst.Is4() && !src.Is6() || dst.Is6() && src.Is6()
}

// checksumGood verifies the checksum of a message of at least headerLen bytes, a Register of at least registerLen.
func checksumGood(typ Type, b []byte, src, dst netip.Addr) bool {
	good := func(b []byte) bool { return ip.Fold(ip.Sum(pseudoSum(len(b), src, dst), b)) == 0xffff }
	if typ == TypeRegister && good(b[:registerLen]) {
		return true
	}
	// RFC 7761, section 4.9.3: a Register whose checksum is calculated over all of it should also be accepted.
	return good(b)
}

// pseudoSum sums the pseudo-header that the checksum of IPv6 includes (RFC 2460 section 8.1); 0 for IPv4.
func pseudoSum(length int, src, dst netip.Addr) uint32 {
	if !dst.Is6() {
		return 0
	}
	return ip.PseudoSum(src, dst, engine.ProtoPIM, length)
}
