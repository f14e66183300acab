package wire_test

import (
	"testing"

	"grove/igmp/wire"
)

var goldenLeaves = []golden{
	{"IGMPv2", false, "17 00 cc cc ef010203", wire.Leave{Group: addr("239.1.2.3")}},
	{"MLDv1", true, "84 00 cc cc 0000 0000 ff3e0000000000000000000000000001", wire.Leave{Group: addr("ff3e::1")}},
}

func TestLeave(t *testing.T) { checkGolden(t, goldenLeaves) }
