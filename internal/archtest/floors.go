package archtest

import (
	"slices"
	"strings"
)

// module is the path of the main module.
const module = "grove"

// protocols are the folders that hold one protocol each, or the forwarding table that they share.
var protocols = []string{"igmp", "mfib", "pimsm", "pimdm", "dvmrp", "cbt", "mospf", "msdp", "overlay"}

// floor returns the floor that a folder of the module is on: the higher imports the lower.
func floor(top string) int {
	switch {
	case top == "internal":
		return 0
	case slices.Contains(protocols, top):
		return 1
	case top == "daemon":
		return 2
	case top == "labs":
		return 3
	default: // cmd, tools
		return 4
	}
}

// local returns the path inside the module, and whether path is of the module at all.
func local(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func top(path string) string { t, _, _ := strings.Cut(path, "/"); return t }

// within says whether path is dir or below it.
func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// Forbidden says why package importer may not import package imported, "" if it may.
func Forbidden(importer, imported string) string {
	from, ours := local(importer)
	if !ours {
		return ""
	}
	if within(imported, "golang.org/x/sys") {
		if within(from, "mfib/kernel") || within(from, "daemon/host") {
			return ""
		}
		return "x/sys is for mfib/kernel and daemon/host alone"
	}
	to, ours := local(imported)
	if !ours {
		return ""
	}
	if within(to, "mfib/kernel") && !within(from, "daemon/host") && !within(from, "mfib/kernel") {
		return "the kernel back end is daemon/host's to drive"
	}
	a, b := top(from), top(to)
	switch {
	case a == b:
		return ""
	case floor(a) == 1 && floor(b) == 1:
		return "protocols never import one another"
	case floor(a) <= floor(b):
		return "a package imports only from floors below its own"
	}
	return ""
}
