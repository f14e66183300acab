package interop

import (
	grovev1 "grove/daemon/api/grove/v1"
)

// rp returns RP(G) of a group at a groved; "" if there is none.
func (l *lab) rp(node, group string) string {
	l.t.Helper()
	list := ask(l, l.Client(node).ListRPs, &grovev1.ListRPsRequest{Family: familyOf(group), Group: group}).Rps
	if len(list) == 0 {
		return ""
	}
	return list[0].Address
}
