package config

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"grove/internal/pim/neighbor"
)

// PIMMode says which PIM an interface speaks.
type PIMMode uint8

// The modes.
const (
	// Sparse is PIM-SM for every group.
	Sparse PIMMode = iota
	// Dense is PIM-DM for every group.
	Dense
	// SparseDense is PIM-SM for the groups that have an RP and for source-specific ones, PIM-DM for all others.
	SparseDense
)

var pimModes = [...]string{Sparse: "sparse", Dense: "dense", SparseDense: "sparse-dense"}

// String returns the mode as a file has it.
func (m PIMMode) String() string { return pimModes[m] }

// RunsSparse says whether PIM-SM runs on an interface of the mode, and RunsDense whether PIM-DM does.
func (m PIMMode) RunsSparse() bool { return m != Dense }

// RunsDense says whether PIM-DM runs on an interface of the mode.
func (m PIMMode) RunsDense() bool { return m != Sparse }

// PIMInterface is PIM on an interface.
type PIMInterface struct {
	Mode PIMMode
	neighbor.Config
	NoStateRefresh bool // of dense mode
	BSRBorder      bool // no Bootstrap message is sent or accepted here
}

var (
	neighborKeys     []key[neighbor.Config]
	pimInterfaceKeys []key[PIMInterface]
)

func defaultPIMInterface() *PIMInterface { return &PIMInterface{Config: *defaultNeighbor()} }

func initPIMInterfaceKeys() {
	initNeighborKeys()
	pimInterfaceKeys = append([]key[PIMInterface]{
		{
			name: "mode", takes: "sparse, dense or sparse-dense", def: "sparse",
			doc: "sparse is PIM-SM, dense is PIM-DM. With sparse-dense the groups that have an RP, configured or learned, " +
				"and the source-specific ones are sparse, all others dense; with no RP at all that is dense mode but for ssm.",
			read: func(r *reader, n ast.Node, v *PIMInterface) {
				const takes = "sparse, dense or sparse-dense"
				s, ok := r.text(n, takes)
				if !ok {
					return
				}
				i := slices.Index(pimModes[:], s)
				if i < 0 {
					r.fault(n, fmt.Sprintf("mode %q is none of PIM", s), takes, meant(s))
					return
				}
				v.Mode = PIMMode(i)
			},
			print: func(v *PIMInterface) string { return v.Mode.String() },
		},
	}, within(neighborKeys, func(v *PIMInterface) *neighbor.Config { return &v.Config })...)
	pimInterfaceKeys = append(pimInterfaceKeys, key[PIMInterface]{
		name: "state-refresh", takes: "true or false", def: "true",
		doc: "Dense mode: whether State Refresh messages are sent and heard here. RFC 3973, section 4.5.",
		read: func(r *reader, n ast.Node, v *PIMInterface) {
			on := true
			asked := boolean("state-refresh", func(v *bool) *bool { return v }, "", "")
			asked.read(r, n, &on)
			v.NoStateRefresh = !on
		},
		print: func(v *PIMInterface) string { return fmt.Sprint(!v.NoStateRefresh) },
	}, boolean("bsr-border", func(v *PIMInterface) *bool { return &v.BSRBorder }, "false",
		"Whether the domain of the BSR ends here: no message of the mechanism is sent or accepted. RFC 5059, section 6.3."))
}

// meant suggests the mode that other routers call s.
func meant(s string) string {
	switch s {
	case "sm", "sparse-mode", "pim-sm":
		return "write sparse"
	case "dm", "dense-mode", "pim-dm":
		return "write dense"
	case "sm-dm", "sparse-dense-mode", "dense-sparse":
		return "write sparse-dense"
	case "passive":
		return "passive is a key of its own: passive: true"
	}
	return ""
}

// within makes of the keys of a part of T keys of T.
func within[T, S any](keys []key[S], part func(*T) *S) []key[T] {
	lifted := make([]key[T], len(keys))
	for i, k := range keys {
		lifted[i] = key[T]{
			name: k.name, also: k.also, takes: k.takes, def: k.def, doc: k.doc, sub: k.sub,
			read:  func(r *reader, n ast.Node, v *T) { k.read(r, n, part(v)) },
			print: func(v *T) string { return k.print(part(v)) },
		}
	}
	return lifted
}

func defaultNeighbor() *neighbor.Config {
	return &neighbor.Config{
		HelloPeriod: 30 * time.Second, TriggeredHelloDelay: 5 * time.Second, DRPriority: 1,
		PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond, MaxNeighbors: 512,
		DefaultPropagationDelay: 500 * time.Millisecond, DefaultOverrideInterval: 2500 * time.Millisecond, MaxSecondaryAddresses: 256,
	}
}

func initNeighborKeys() {
	type conf = neighbor.Config
	neighborKeys = []key[conf]{
		also(duration("hello-period", func(v *conf) *time.Duration { return &v.HelloPeriod }, time.Second, 18000*time.Second, "30s",
			"Time between Hellos. RFC 7761, section 4.11."), "hello-interval", "hello", "query-interval"),
		also(duration("hello-holdtime", func(v *conf) *time.Duration { return &v.HelloHoldtime }, time.Second, 65534*time.Second,
			"3.5 * hello-period", "How long neighbours keep us without a Hello; at least hello-period."), "holdtime", "hold-time"),
		duration("triggered-hello-delay", func(v *conf) *time.Duration { return &v.TriggeredHelloDelay }, 0, time.Minute, "5s",
			"The longest wait before a Hello to a new neighbour."),
		{
			name: "dr-priority", also: []string{"priority"}, takes: "a whole number from 0 to 4294967295, or none", def: "1",
			doc: "The highest is the designated router. With none the option is not sent, and everyone on the link elects by address.",
			read: func(r *reader, n ast.Node, v *conf) {
				if s, _ := scalar(n); s == "none" {
					v.NoDRPriority, v.DRPriority = true, 0
				} else if x, ok := readNumber[uint32](r, n, "dr-priority", 0, math.MaxUint32, "a whole number from 0 to 4294967295, or none"); ok {
					v.DRPriority = x
				}
			},
			print: func(v *conf) string {
				if v.NoDRPriority {
					return "none"
				}
				return fmt.Sprint(v.DRPriority)
			},
		},
		duration("propagation-delay", func(v *conf) *time.Duration { return &v.PropagationDelay }, 0, 32767*time.Millisecond, "500ms",
			"J/P_Propagation_Delay of the LAN Prune Delay option. RFC 7761, section 4.3.3."),
		duration("override-interval", func(v *conf) *time.Duration { return &v.OverrideInterval }, 0, 65535*time.Millisecond, "2500ms",
			"J/P_Override_Interval: within this others object to a prune."),
		duration("default-propagation-delay", func(v *conf) *time.Duration { return &v.DefaultPropagationDelay }, time.Millisecond, 32767*time.Millisecond,
			"500ms", "Propagation_delay_default: what holds on a link where not all send the LAN Prune Delay option."),
		duration("default-override-interval", func(v *conf) *time.Duration { return &v.DefaultOverrideInterval }, time.Millisecond, 65535*time.Millisecond,
			"2500ms", "t_override_default, likewise."),
		boolean("tracking-support", func(v *conf) *bool { return &v.TrackingSupport }, "false",
			"The T bit: joins of others are not suppressed."),
		boolean("passive", func(v *conf) *bool { return &v.Passive }, "false",
			"Send no Hello and accept none: we are the designated router of a stub link."),
		number("max-neighbors", func(v *conf) *int { return &v.MaxNeighbors }, 1, 100_000, "512",
			"Neighbours on the interface; more are counted and ignored."),
		number("max-secondary-addresses", func(v *conf) *int { return &v.MaxSecondaryAddresses }, 1, 100_000, "256",
			"Addresses that one neighbour may list besides its primary one."),
	}
}
