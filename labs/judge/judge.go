// Package judge has tshark read what was on the links of a lab: the judge of all that grove sends. It is for tests.
package judge

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	dvmrpwire "grove/dvmrp/wire"
	"grove/internal/testneed"
	msdpwire "grove/msdp/wire"
)

// Message is a control message as tshark names it: family and type, "ipv4 Hello". Those of DVMRP have its name before the
// type, with the version if it is not ours, and say if they come in a tunnel (IP in IP): "ipv4 DVMRP graft in a tunnel". Those of
// MSDP are alike: "ipv4 MSDP KeepAlive", "ipv4 MSDP Source-Active", and "ipv4 MSDP Source-Active with a packet" if a packet is
// encapsulated. tshark looks into each TCP segment by itself: a message that is split between two is malformed to it, but no lab
// has one so long. Those of BGP are "ipv4 BGP OPEN" and so on.
type Message string

// Labs lists the messages that tests of the labs have on the wire. Those of labs/interop have the rest.
var Labs = map[string][]Message{
	"02-dvmrp": {
		"ipv4 DVMRP probe", "ipv4 DVMRP report", "ipv4 DVMRP prune", "ipv4 DVMRP graft", "ipv4 DVMRP graft-ack",
		"ipv4 DVMRP probe in a tunnel", "ipv4 DVMRP report in a tunnel", "ipv4 DVMRP prune in a tunnel",
		"ipv4 DVMRP graft in a tunnel", "ipv4 DVMRP graft-ack in a tunnel",
	},
	"03-pim-dm": {
		"ipv4 Graft", "ipv4 GraftAck", "ipv4 StateRefresh",
		"ipv6 Graft", "ipv6 GraftAck", "ipv6 StateRefresh",
	},
	"08-interdomain": {
		"ipv4 MSDP KeepAlive", "ipv4 MSDP Source-Active", "ipv4 MSDP Source-Active with a packet",
		"ipv4 BGP OPEN", "ipv4 BGP UPDATE of multicast routes", "ipv4 BGP KEEPALIVE",
	},
	"15-bsr": {"ipv4 Bootstrap", "ipv4 CandidateRPAdv"},
	"14-anycast-rp": {
		"ipv4 MSDP KeepAlive", "ipv4 MSDP Source-Active", "ipv4 MSDP Source-Active with a packet",
	},
}

// fields are what tshark prints of each control message, in this order.
var fields = []string{
	"frame.number", "ip.src", "ipv6.src", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message",
	"ip.proto", "ip.checksum.status", "pim.type", "pim.cksum.status", "pim.register_flag.null_register",
	"igmp.type", "igmp.version", "igmp.maddr", "igmp.num_src", "igmp.checksum.status",
	"dvmrp.type", "dvmrp.v3.code", "dvmrp.maj_ver", "dvmrp.min_ver", "dvmrp.checksum.status",
	"icmpv6.type", "icmpv6.checksum.status", "icmpv6.mld.multicast_address", "icmpv6.mld.nb_sources",
	"msdp.type", "msdp.unknown_data", "msdp.trailing_junk", "msdp.tlv_len.too_long", "msdp.tlv_len.too_short",
	"bgp.type", "bgp.update.path_attribute.mp_reach_nlri.safi",
}

// What tshark prints for a checksum that is right, and for an expert item that is an error.
const (
	good          = "1"
	severityError = "8388608"
)

// Judge has tshark read a capture: nothing in it may be malformed, no checksum bad and nothing an error in the eyes of
// tshark's experts. What it finds wrong with the messages of foreign addresses is told, but is not our fault. It
// returns how often each control message was seen.
func Judge(t testing.TB, capture string, foreign map[string]bool) map[Message]int {
	t.Helper()
	seen, faults := read(t, capture)
	for _, f := range faults {
		if foreign[f.source] {
			t.Log("not ours: ", f.text)
		} else {
			t.Error(f.text)
		}
	}
	var list []string
	for _, m := range slices.Sorted(maps.Keys(seen)) {
		list = append(list, fmt.Sprintf("%d %s", seen[m], m))
	}
	t.Logf("tshark finds fault with %d of what was on the wire: %s", len(faults), strings.Join(list, ", "))
	return seen
}

// fault is what tshark finds wrong with a message.
type fault struct{ source, text string }

// read has tshark read a capture, and counts the control messages.
func read(t testing.TB, capture string) (map[Message]int, []fault) {
	t.Helper()
	tshark := testneed.Tool(t, "tshark")
	args := []string{
		"-r", capture, "-o", "ip.check_checksum:TRUE", "-T", "fields",
		"-Y", "!icmp && (pim || igmp || dvmrp || (icmpv6.type >= 130 && icmpv6.type <= 132) || icmpv6.type == 143 || msdp || bgp || _ws.malformed || _ws.expert.severity == 0x800000)", // ICMP is the kernel's, and quotes others' messages
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command(tshark, args...).Output()
	if err != nil {
		t.Errorf("tshark: %v", err)
		return nil, nil
	}
	seen := map[Message]int{}
	var faults []fault
	for _, line := range strings.Split(strings.TrimRight(string(out), "\n"), "\n") {
		values := strings.Split(line, "\t")
		if len(values) != len(fields) {
			t.Errorf("tshark says %q", line)
			continue
		}
		// A packet in a Register or in a tunnel has fields, too: they come second.
		first, all := map[string]string{}, map[string]string{}
		for i, f := range fields {
			all[f] = values[i]
			first[f], _, _ = strings.Cut(values[i], ",")
		}
		messages, checksum := names(first, all)
		if all["_ws.malformed"] != "" || strings.Contains(all["_ws.expert.severity"], severityError) || checksum != good ||
			first["ip.src"] != "" && first["ip.checksum.status"] != good || tunneled(first) && all["ip.checksum.status"] != good+","+good ||
			junk(all) {
			faults = append(faults, fault{first["ip.src"] + first["ipv6.src"], fmt.Sprintf(
				"tshark finds fault with %s of %s%s (frame %s): malformed %q, checksums %q and %q, %s", messages[0], first["ip.src"], first["ipv6.src"],
				first["frame.number"], all["_ws.malformed"], checksum, all["ip.checksum.status"], all["_ws.expert.message"])})
		}
		for _, m := range messages {
			seen[m]++
		}
	}
	return seen, faults
}

// names names the control messages of a packet, and returns the status of the checksum. Only TCP may bring several. Its checksum
// is the kernel's, and is not there on links that need none.
func names(first, all map[string]string) ([]Message, string) {
	if first["bgp.type"] != "" {
		return bgpNames(all), good
	}
	if first["msdp.type"] == "" {
		m, checksum := name(first)
		return []Message{m}, checksum
	}
	var list []Message
	for typ := range strings.SplitSeq(all["msdp.type"], ",") {
		list = append(list, Message("ipv4 MSDP "+msdpName(typ)))
	}
	// A packet in a Source-Active has an IP header. It follows the last entry of the message (RFC 3618, section 12.2.1).
	if strings.Contains(all["ip.src"], ",") {
		for i := range slices.Backward(list) {
			if list[i] == "ipv4 MSDP Source-Active" {
				list[i] += " with a packet"
				break
			}
		}
	}
	return list, good
}

var bgpTypes = []string{"", "OPEN", "UPDATE", "NOTIFICATION", "KEEPALIVE", "ROUTE-REFRESH"}

// bgpNames names the messages of BGP in a segment: "ipv4 BGP OPEN"; where there are multicast routes in one, SAFI 2, "ipv4 BGP
// UPDATE of multicast routes".
func bgpNames(all map[string]string) []Message {
	family := "ipv4"
	if all["ipv6.src"] != "" {
		family = "ipv6"
	}
	multicast := slices.Contains(strings.Split(all["bgp.update.path_attribute.mp_reach_nlri.safi"], ","), "2")
	var list []Message
	for typ := range strings.SplitSeq(all["bgp.type"], ",") {
		name := "type " + typ
		if n, err := strconv.Atoi(typ); err == nil && n > 0 && n < len(bgpTypes) {
			name = bgpTypes[n]
		}
		if multicast && name == "UPDATE" {
			name += " of multicast routes"
		}
		list = append(list, Message(family+" BGP "+name))
	}
	return list
}

// msdpName names a type of MSDP (RFC 3618, section 12.2).
func msdpName(typ string) string {
	n, err := strconv.ParseUint(typ, 10, 8)
	if err != nil {
		return "type " + typ
	}
	return strings.TrimPrefix(msdpwire.Type(n).String(), "IPv4 ")
}

// junk says whether a message of MSDP has more or less in it than its length says, or a packet with a wrong checksum.
func junk(all map[string]string) bool {
	if all["msdp.type"] != "" && strings.Trim(all["ip.checksum.status"], good+",") != "" {
		return true
	}
	return all["msdp.unknown_data"]+all["msdp.trailing_junk"]+all["msdp.tlv_len.too_long"]+all["msdp.tlv_len.too_short"] != ""
}

var pimTypes = map[string]string{"0": "Hello", "1": "Register", "2": "RegisterStop", "3": "JoinPrune", "4": "Bootstrap", "5": "Assert",
	"6": "Graft", "7": "GraftAck", "8": "CandidateRPAdv", "9": "StateRefresh"}

// name names a control message, and returns the status of its checksum.
func name(f map[string]string) (Message, string) {
	family := "ipv4"
	if f["ipv6.src"] != "" {
		family = "ipv6"
	}
	switch {
	case f["pim.type"] != "":
		typ := pimTypes[f["pim.type"]]
		if typ == "" {
			typ = "PIM type " + f["pim.type"]
		}
		if f["pim.register_flag.null_register"] == "1" {
			typ = "NullRegister"
		}
		return Message(family + " " + typ), f["pim.cksum.status"]
	case f["dvmrp.type"] != "":
		typ, where := dvmrpName(f), ""
		if tunneled(f) {
			where = " in a tunnel"
		}
		return Message(family + " DVMRP " + typ + where), f["dvmrp.checksum.status"]
	case f["igmp.type"] != "":
		typ := map[string]string{"0x11": "Query", "0x12": "OlderReport", "0x16": "OlderReport", "0x17": "Leave", "0x22": "Report"}[f["igmp.type"]]
		switch typ {
		case "Query":
			typ = queryName(f["igmp.version"], f["igmp.maddr"] == "0.0.0.0", f["igmp.num_src"])
		case "OlderReport":
			typ += " " + f["igmp.version"]
		}
		return Message(family + " " + typ), f["igmp.checksum.status"]
	case f["icmpv6.type"] != "":
		typ := map[string]string{"130": "Query", "131": "OlderReport 1", "132": "Leave", "143": "Report"}[f["icmpv6.type"]]
		if typ == "Query" {
			version := "1"
			if f["icmpv6.mld.nb_sources"] != "" {
				version = "2"
			}
			typ = queryName(version, f["icmpv6.mld.multicast_address"] == "::", f["icmpv6.mld.nb_sources"])
		}
		return Message(family + " " + typ), f["icmpv6.checksum.status"]
	}
	return "something else", ""
}

// tunneled says whether the packet is one of IP in IP.
func tunneled(f map[string]string) bool { return f["ip.proto"] == "4" }

// dvmrpName names a message of DVMRP by its code, and by its version if that is not ours. tshark reads version 3 alone, of that
// each code but the list of Neighbors, which is obsolete: it verifies that one's checksum and looks no further. It takes every
// Probe to have a Generation ID, and so calls those before version 3.3 malformed (appendix C of the draft); grove sends none.
func dvmrpName(f map[string]string) string {
	var n [3]uint8
	for i, field := range []string{"dvmrp.v3.code", "dvmrp.maj_ver", "dvmrp.min_ver"} {
		v, err := strconv.ParseUint(f[field], 0, 8)
		if err != nil {
			return "of a version that tshark does not read"
		}
		n[i] = uint8(v)
	}
	name := dvmrpwire.Code(n[0]).String()
	if v := (dvmrpwire.Version{Major: n[1], Minor: n[2]}); v != dvmrpwire.OurVersion {
		name = v.String() + " " + name
	}
	return name
}

// queryName names a query by its version, and by what it asks for.
func queryName(version string, general bool, sources string) string {
	switch {
	case general:
		return "Query " + version + " general"
	case sources == "" || sources == "0":
		return "Query " + version + " of a group"
	}
	return "Query " + version + " of sources"
}
