package wire

// Graft is a Graft message (RFC 3973 section 4.7.8): a Join/Prune message of another type, unicast to RPF'(S). The sources
// are in the Joined lists; the Holdtime is 0, and ignored.
type Graft JoinPrune

// GraftAck is a Graft-Ack message (RFC 3973 section 4.7.9): the Graft that it answers, with the sender of the Graft as
// Upstream, which is ignored.
type GraftAck JoinPrune

// Type returns TypeGraft.
func (*Graft) Type() Type { return TypeGraft }

// Append appends the message.
func (m *Graft) Append(b []byte) ([]byte, error) { return (*JoinPrune)(m).Append(b) }

// Type returns TypeGraftAck.
func (*GraftAck) Type() Type { return TypeGraftAck }

// Append appends the message.
func (m *GraftAck) Append(b []byte) ([]byte, error) { return (*JoinPrune)(m).Append(b) }
