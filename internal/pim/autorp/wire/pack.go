package wire

import "time"

// MaxLen is how long a message of Pack's is at most: with its headers it passes every link, tunnels included, unfragmented.
const MaxLen = 1400

// Pack makes messages that say what RPs serve, in the order given: as few as there can be of at most MaxLen bytes, none if there
// are no RPs. An RP with many groups may be in several.
func Pack(t Type, holdtime time.Duration, rps []RP) []*Message {
	var list []*Message
	room := 0
	begin := func() {
		list = append(list, &Message{Type: t, Holdtime: holdtime})
		room = MaxLen - headerLen
	}
	for _, rp := range rps {
		for first := true; first || len(rp.Groups) > 0; first = false {
			if len(list) == 0 || room < rpLen+min(len(rp.Groups), 1)*groupLen || len(list[len(list)-1].RPs) == maxCount {
				begin()
			}
			m := list[len(list)-1]
			n := min(len(rp.Groups), maxCount, (room-rpLen)/groupLen)
			m.RPs = append(m.RPs, RP{Address: rp.Address, Version: rp.Version, Groups: rp.Groups[:n:n]})
			room -= rpLen + n*groupLen
			rp.Groups = rp.Groups[n:]
		}
	}
	return list
}
