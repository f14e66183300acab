package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"grove/internal/ip"
)

// AllDVMRPRouters is the group of all DVMRP routers on a link.
var AllDVMRPRouters = netip.AddrFrom4([4]byte{224, 0, 0, 4})

// MaxMessage is how many bytes a message may have without Path MTU Discovery: a packet has 576 at most (section 3.7),
// its IP header included.
const MaxMessage = 576 - 20

// Infinity is the metric of what cannot be reached; a metric between it and twice it is a poison reverse (section 3.4.4).
const Infinity = 32

// Code says what kind of message it is (section 3.1).
type Code uint8

// The codes. AskNeighbors and Neighbors are obsolete (appendix B).
const (
	CodeProbe         Code = 1
	CodeReport        Code = 2
	CodeAskNeighbors  Code = 3
	CodeNeighbors     Code = 4
	CodeAskNeighbors2 Code = 5
	CodeNeighbors2    Code = 6
	CodePrune         Code = 7
	CodeGraft         Code = 8
	CodeGraftAck      Code = 9
)

var codeNames = map[Code]string{
	CodeProbe: "probe", CodeReport: "report", CodeAskNeighbors: "ask-neighbors", CodeNeighbors: "neighbors",
	CodeAskNeighbors2: "ask-neighbors2", CodeNeighbors2: "neighbors2", CodePrune: "prune", CodeGraft: "graft",
	CodeGraftAck: "graft-ack",
}

// String returns the name of the code, as "graft-ack".
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Version is the version of the protocol that a router speaks. Cisco routers put the version of their software there
// (appendix C).
type Version struct{ Major, Minor uint8 }

// OurVersion is that of the draft: 3.255.
var OurVersion = Version{Major: 3, Minor: 0xff}

// String returns "3.255".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// hasGenerationID says whether Probes of the version have a Generation ID: not those before 3.3 (appendix C).
func (v Version) hasGenerationID() bool { return v.Major > 3 || v.Major == 3 && v.Minor > 2 }

// Capabilities are what a router can do (sections 3.2.1 and appendix B, table 4).
type Capabilities uint8

// The capabilities. Leaf and SNMP mean something in Neighbors2 alone.
const (
	CapLeaf         Capabilities = 1 << 0
	CapPrune        Capabilities = 1 << 1
	CapGenerationID Capabilities = 1 << 2
	CapMtrace       Capabilities = 1 << 3
	CapSNMP         Capabilities = 1 << 4
	CapNetmask      Capabilities = 1 << 5 // takes netmasks in Prune, Graft and Graft Ack
)

// Header is what all messages begin with, less type, code and checksum.
type Header struct {
	Version      Version
	Capabilities Capabilities // of a Probe and of Neighbors2; reserved in the others
}

// Message is one of *Probe, *Report, *AskNeighbors, *Neighbors, *AskNeighbors2, *Neighbors2, *Prune, *Graft and
// *GraftAck.
type Message interface {
	// Code returns the code that the header carries.
	Code() Code
	// Append appends the message without the header: Encode adds that.
	Append(b []byte) ([]byte, error)
}

const (
	igmpType  = 0x13
	headerLen = 8
)

// Parse reads the payload of an IP packet of protocol IGMP. Bytes after the end of a message are ignored.
func Parse(b []byte) (Header, Message, error) {
	if len(b) > 0 && b[0] != igmpType {
		return Header{}, nil, fmt.Errorf("dvmrp: type %#x: %w", b[0], ErrNotDVMRP)
	}
	if len(b) < headerLen {
		return Header{}, nil, fmt.Errorf("dvmrp: header: %w", ErrTruncated)
	}
	code := Code(b[1])
	if ip.Checksum(b) != 0 {
		return Header{}, nil, fmt.Errorf("dvmrp: %v: %w", code, ErrChecksum)
	}
	h := Header{Version: Version{Major: b[7], Minor: b[6]}, Capabilities: Capabilities(b[5])}
	r := &reader{b: b[headerLen:]}
	var m Message
	var err error
	switch code {
	case CodeProbe:
		m, err = parseProbe(r, h.Version)
	case CodeReport:
		m, err = parseReport(r)
	case CodeAskNeighbors:
		m = &AskNeighbors{}
	case CodeNeighbors:
		var list []Interface
		list, err = parseInterfaces(r, false)
		m = &Neighbors{list}
	case CodeAskNeighbors2:
		m = &AskNeighbors2{}
	case CodeNeighbors2:
		var list []Interface
		list, err = parseInterfaces(r, true)
		m = &Neighbors2{list}
	case CodePrune:
		m, err = parsePrune(r)
	case CodeGraft:
		m, err = parseGraft(r)
	case CodeGraftAck:
		var g *Graft
		g, err = parseGraft(r)
		m = (*GraftAck)(g)
	default:
		err = ErrCode
	}
	if err != nil {
		return Header{}, nil, fmt.Errorf("dvmrp: %v: %w", code, err)
	}
	return h, m, nil
}

// Encode returns the payload of an IP packet that carries m.
func Encode(h Header, m Message) ([]byte, error) {
	b := []byte{igmpType, byte(m.Code()), 0, 0, 0, byte(h.Capabilities), h.Version.Minor, h.Version.Major}
	b, err := m.Append(b)
	if err != nil {
		return nil, fmt.Errorf("dvmrp: %v: %w", m.Code(), err)
	}
	binary.BigEndian.PutUint16(b[2:], ip.Checksum(b))
	return b, nil
}
