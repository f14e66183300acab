package config

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// denseKeys are the keys of dense mode that stand below pim.ipv4 and pim.ipv6, beside those of sparse mode.
func denseKeys() []key[PIMDense] {
	type conf = PIMDense
	return []key[conf]{
		also(duration("prune-holdtime", func(v *conf) *time.Duration { return &v.PruneHoldtime }, time.Second, 65534*time.Second, "210s",
			"Dense mode: the Hold Time of our Prunes, after which packets are flooded again. RFC 3973, section 4.8."),
			"prune-hold-time", "prune-timer"),
		also(duration("prune-limit-interval", func(v *conf) *time.Duration { return &v.PruneLimit }, time.Second, 18*time.Hour, "210s",
			"Dense mode: t_limit, the time between two Prunes for the same packets."), "t-limit", "prune-limit", "prune-limit-timer"),
		also(duration("graft-retry-period", func(v *conf) *time.Duration { return &v.GraftRetryPeriod }, 100*time.Millisecond, time.Hour, "3s",
			"Dense mode: Graft_Retry_Period, the wait for a Graft-Ack before the Graft is sent again."), "graft-retry-interval", "graft-retry"),
		{
			name: "graft-retries", takes: "a whole number from 1 to 1000000, or forever", def: "20",
			doc: "Dense mode: how often a Graft is sent again if no Graft-Ack comes.",
			read: func(r *reader, n ast.Node, v *conf) {
				const takes = "a whole number from 1 to 1000000, or forever"
				if s, _ := scalar(n); s == "forever" {
					v.GraftRetries = -1
				} else if x, ok := readNumber(r, n, "graft-retries", 1, 1_000_000, takes); ok {
					v.GraftRetries = x
				}
			},
			print: func(v *conf) string {
				if v.GraftRetries < 0 {
					return "forever"
				}
				return fmt.Sprint(v.GraftRetries)
			},
		},
		also(duration("source-lifetime", func(v *conf) *time.Duration { return &v.SourceLifetime }, time.Second, 18*time.Hour, "210s",
			"Dense mode: SourceLifetime, how long a source is remembered that sends nothing."), "source-active-timer", "sourcelifetime"),
		boolean("state-refresh", func(v *conf) *bool { return &v.StateRefresh }, "true",
			"Dense mode: whether State Refresh messages, which keep prunes alive, are sent, forwarded and heard. RFC 3973, section 4.5."),
		also(duration("state-refresh-interval", func(v *conf) *time.Duration { return &v.RefreshInterval }, time.Second, 255*time.Second, "60s",
			"Dense mode: StateRefreshInterval, the time between those that a first hop sends."),
			"state-refresh-origination-interval", "origination-interval", "refresh-interval"),
		also(duration("state-refresh-limit-interval", func(v *conf) *time.Duration { return &v.RefreshLimit }, 10*time.Millisecond, 255*time.Second,
			"state-refresh-interval / 12", "Dense mode: RefreshLimitInterval; those of the same packets that come faster are dropped."),
			"state-refresh-rate-limit", "refresh-limit-interval"),
		number("state-refresh-ttl", func(v *conf) *uint8 { return &v.RefreshTTL }, 1, 255, "64",
			"Dense mode: the TTL of State Refresh messages if that of the data packets is not known."),
		number("max-dense-entries", func(v *conf) *int { return &v.MaxEntries }, 1, 100_000_000, "500000",
			"Dense mode: (S,G) entries; packets of more are counted and dropped."),
		number("max-dense-sources", func(v *conf) *int { return &v.MaxSources }, 1, 100_000_000, "100000",
			"Dense mode: (S,G) entries of one group."),
		number("max-dense-members", func(v *conf) *int { return &v.MaxMemberedGroups }, 1, 100_000_000, "100000",
			"Dense mode: groups that have members on our links; members of more are counted and ignored."),
	}
}

func (r *reader) checkDense(at places, v *PIMDense) {
	const interval, limit = "state-refresh-interval", "state-refresh-limit-interval"
	if !at.has(limit) {
		v.RefreshLimit = v.RefreshInterval / 12
	}
	if at.good(interval, limit) && v.RefreshLimit >= v.RefreshInterval {
		r.fault(at.latest(interval, limit), fmt.Sprintf("%s %s is not less than %s %s", limit, printDuration(v.RefreshLimit), interval,
			printDuration(v.RefreshInterval)), "a shorter one, or each second message is dropped", "leave it out: it is then a twelfth")
	}
	r.later = append(r.later, func(c *Config) {
		r.checkScaled(c, at, scaled{"prune-holdtime", v.PruneHoldtime, time.Second})
	})
}
