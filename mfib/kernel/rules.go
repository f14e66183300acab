package kernel

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// rulePriority is where the rules of a table stand: before the rule for the default table (32767).
const rulePriority = 10000

// ruleAttrs are the attributes that select the packets of an interface: those that arrive on it, and our own that
// leave by it.
var ruleAttrs = []uint16{unix.FRA_IIFNAME, unix.FRA_OIFNAME}

// Linux looks every packet up in the default table unless a rule (`ip mrule`) says otherwise. An interface that has a
// VIF in another table belongs to that table, so addRules adds the rules that say so. A process that dies leaves them,
// and its next start finds them: EEXIST.
func (t *Table) addRules(name string) error {
	if !t.ruled() {
		return nil
	}
	for _, attr := range ruleAttrs {
		err := t.rule(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, attr, name)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("rule for packets of %s: %w", name, err)
		}
	}
	return nil
}

// delRules deletes the rules of an interface.
func (t *Table) delRules(name string) {
	if !t.ruled() || name == "" {
		return
	}
	for _, attr := range ruleAttrs {
		// One that is not there is as wanted, and one that stays does no harm to a table without an owner.
		_ = t.rule(unix.RTM_DELRULE, 0, attr, name)
	}
}

func (t *Table) ruled() bool { return t.other() && t.link != nil }

func (t *Table) rule(kind, flags uint16, attr uint16, name string) error {
	n := t.link
	family := uint8(familyIPMR)
	if t.family == engine.IPv6 {
		family = familyIP6MR
	}
	// struct fib_rule_hdr has the shape of struct rtmsg; its action lies where the type is.
	n.out = n.out[:0]
	start := n.begin(kind, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK, unix.RtMsg{Family: family, Type: unix.FR_ACT_TO_TBL})
	n.attr(attr, append([]byte(name), 0))
	n.attrUint32(unix.FRA_TABLE, t.table)
	n.attrUint32(unix.FRA_PRIORITY, rulePriority)
	n.end(start)
	var refused error
	err := n.acknowledged(func(_ uint32, errno unix.Errno) error {
		refused = errno
		return nil
	})
	return errors.Join(refused, err)
}

// ifreqName is struct ifreq as SIOCGIFNAME uses it.
type ifreqName struct {
	name    [unix.IFNAMSIZ]byte
	ifindex int32
	_       [20]byte
}

// nameOf returns the name of an interface. It asks our own socket, as the thread may be in another namespace by now.
func (t *Table) nameOf(ifindex int) (string, error) {
	request := ifreqName{ifindex: int32(ifindex)}
	if err := ioctl(t.fd, unix.SIOCGIFNAME, &request); err != nil {
		return "", fmt.Errorf("name of ifindex %d: %w", ifindex, err)
	}
	name, _, _ := bytes.Cut(request.name[:], []byte{0})
	return string(name), nil
}
