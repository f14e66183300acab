package config

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"grove/internal/engine"
)

// Parse reads and validates a file's text; name is what faults call the file. The error is an *Error.
func Parse(name string, data []byte) (*Config, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r := &reader{file: name, lines: strings.Split(string(data), "\n"),
		enabled: make(map[engine.Family][]located[string])}
	c := defaults()
	if body := r.document(data); body != nil {
		readSection(r, body, topKeys, c)
	}
	for _, check := range r.later {
		check(c)
	}
	r.checkInterfaces()
	if len(r.faults) > 0 {
		err := &Error{Faults: r.faults}
		err.sort()
		return nil, err
	}
	return c, nil
}

// reader walks the syntax tree and collects faults.
type reader struct {
	file   string
	lines  []string
	faults []Fault
	later  []func(*Config) // checks that need what stands elsewhere in the file, run at the end

	addresses []located[netip.Prefix]
	enabled   map[engine.Family][]located[string]
}

// located is a value with the interface it belongs to and where it stands.
type located[T any] struct {
	value T
	iface string
	node  ast.Node
}

// key is a key of the file: how it is read, printed and explained. T is the struct that its section fills.
type key[T any] struct {
	name  string
	also  []string // other names by which people know it: suggested, not accepted
	takes string   // what stands there, in words
	def   string   // the default, in words
	doc   string
	sub   *reference // of the section below it, if it has one
	read  func(r *reader, n ast.Node, v *T)
	print func(v *T) string // the value as a file has it; "" if there is nothing to say; several lines are a block
}

// places says where the keys of a section stood.
type places struct {
	whole ast.Node
	at    map[string]ast.Node // values
	keys  map[string]ast.Node
	bad   map[string]bool
}

// of returns where name stood, or else the section.
func (p places) of(name string) ast.Node {
	if n, ok := p.at[name]; ok {
		return n
	}
	return p.whole
}

// keyOf returns the key name itself.
func (p places) keyOf(name string) ast.Node { return p.keys[name] }

func (p places) has(name string) bool { return p.at[name] != nil }

// good says that none of the names was faulty, so that a rule between them can be checked.
func (p places) good(names ...string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return p.bad[n] })
}

// latest returns the last of the names that stands in the file: a rule between two values is broken by the later one.
func (p places) latest(names ...string) ast.Node {
	latest := p.whole
	line, column := 0, 0
	for _, name := range names {
		if n, ok := p.at[name]; ok {
			if l, c := position(n); l > line || l == line && c > column {
				latest, line, column = n, l, c
			}
		}
	}
	return latest
}

func (r *reader) fault(n ast.Node, what, expected, mend string) {
	line, column := position(n)
	r.faultAt(line, column, what, expected, mend)
}

func (r *reader) faultAt(line, column int, what, expected, mend string) {
	f := Fault{File: r.file, Line: line, Column: column, What: what, Expected: expected, Mend: mend}
	if line >= 1 && line <= len(r.lines) {
		f.Source = strings.TrimRight(r.lines[line-1], "\r")
	}
	r.faults = append(r.faults, f)
}

// position returns where n begins. A block mapping's own token is the colon of its first key: that key is meant.
func position(n ast.Node) (line, column int) {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return position(m.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return position(m.Key)
	case *ast.LiteralNode:
		return m.Start.Position.Line, m.Start.Position.Column
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return t.Position.Line, t.Position.Column
}

// What no sensible file exceeds. The YAML parser takes time and memory that grow with the square of the nesting.
const (
	maxSize    = 4 << 20
	maxLine    = 16 << 10
	maxNesting = 100
)

// sane says whether the file may be given to the YAML parser.
func (r *reader) sane(data []byte) bool {
	if len(data) > maxSize {
		r.faultAt(1, 1, fmt.Sprintf("the file has %d bytes", len(data)), fmt.Sprintf("at most %d", maxSize), "")
		return false
	}
	depth := 0
	for i, line := range r.lines {
		if len(line) > maxLine {
			r.lines[i] = ""
			r.faultAt(i+1, 1, fmt.Sprintf("the line has %d bytes", len(line)), fmt.Sprintf("at most %d", maxLine), "break it into several")
			return false
		}
		depth += strings.Count(line, "[") + strings.Count(line, "{") - strings.Count(line, "]") - strings.Count(line, "}")
		if depth > maxNesting {
			r.faultAt(i+1, 1, fmt.Sprintf("more than %d brackets are open", maxNesting), "fewer", "close them")
			return false
		}
	}
	return true
}

// document returns the body of the only document of the file; nil if the file is empty or not YAML.
func (r *reader) document(data []byte) ast.Node {
	if !r.sane(data) {
		return nil
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, column, what := 1, 1, err.Error()
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			what = syntax.Message
			if t := syntax.Token; t != nil && t.Position != nil {
				line, column = t.Position.Line, t.Position.Column
			}
		}
		r.faultAt(line, column, "this is not YAML: "+what, "",
			"mend it first: what follows cannot be read before (look for a missing quote, bracket or space after a colon)")
		return nil
	}
	var body ast.Node
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			r.fault(d.Body, "a second document", "one document in a file", "remove the line ---")
			break
		}
		body = d.Body
	}
	return body
}

// readSection reads a mapping by its table of keys into v.
func readSection[T any](r *reader, n ast.Node, keys []key[T], v *T) places {
	p := places{n, make(map[string]ast.Node), make(map[string]ast.Node), make(map[string]bool)}
	first := make(map[string]int)
	for _, e := range r.mapping(n) {
		name := e.name
		i := slices.IndexFunc(keys, func(k key[T]) bool { return k.name == name })
		if i < 0 {
			r.unknown(e.key, name, names(keys), aliases(keys))
			continue
		}
		line, _ := position(e.key)
		if before, ok := first[name]; ok {
			r.duplicate(e.key, name, before)
			continue
		}
		first[name] = line
		p.at[name], p.keys[name] = e.value, e.key
		had := len(r.faults)
		keys[i].read(r, e.value, v)
		p.bad[name] = len(r.faults) > had
	}
	return p
}

// entry is a key of a mapping with its value.
type entry struct {
	name       string
	key, value ast.Node
}

// mapping returns the entries of n, which must be a mapping; nothing at all is an empty one.
func (r *reader) mapping(n ast.Node) []entry {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.NullNode:
		return nil
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		r.wrong(n, "keys with values", "write {} for the defaults")
		return nil
	}
	entries := make([]entry, 0, len(values))
	for _, v := range values {
		name, ok := scalar(v.Key)
		if !ok {
			r.wrong(v.Key, "a plain word as key", "")
			continue
		}
		entries = append(entries, entry{name, v.Key, v.Value})
	}
	return entries
}

// sequence returns the elements of n, which must be a list; nothing at all is an empty one.
func (r *reader) sequence(n ast.Node, of string) []ast.Node {
	switch s := n.(type) {
	case *ast.NullNode:
		return nil
	case *ast.SequenceNode:
		return s.Values
	}
	r.wrong(n, "a list of "+of, "write it in brackets: [a, b]")
	return nil
}

// scalar returns the text of a plain or quoted value.
func scalar(n ast.Node) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// text returns the text of n, which must be a plain or quoted value.
func (r *reader) text(n ast.Node, expected string) (string, bool) {
	s, ok := scalar(n)
	if !ok {
		r.wrong(n, expected, "")
	}
	return s, ok
}

// wrong reports a node of the wrong kind.
func (r *reader) wrong(n ast.Node, expected, mend string) {
	what := "this is of a kind that cannot stand here"
	switch n.(type) {
	case *ast.NullNode:
		what = "nothing stands here"
	case *ast.MappingNode, *ast.MappingValueNode:
		what = "keys with values stand here"
		if mend == "" && strings.Contains(expected, "IPv6") {
			mend = "put an IPv6 address in quotes, for YAML takes its colons as keys"
		}
	case *ast.SequenceNode:
		what = "a list stands here"
	case *ast.LiteralNode:
		what = "a text of several lines stands here"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		what = "YAML anchors, aliases, merge keys and tags are not read"
		mend = "write the value out"
	default:
		if s, ok := scalar(n); ok {
			what = strconv.Quote(s) + " stands here"
		}
	}
	r.fault(n, what, expected, mend)
}

func (r *reader) duplicate(n ast.Node, name string, line int) {
	r.fault(n, fmt.Sprintf("%s stands here a second time", name), "each key once",
		fmt.Sprintf("remove this one or the one in line %d", line))
}

func (r *reader) unknown(n ast.Node, name string, known []string, also map[string]string) {
	mend := "remove it"
	if near := nearest(name, known, also); near != "" {
		mend = "did you mean " + near + "?"
	}
	r.fault(n, "unknown key "+name, strings.Join(known, ", "), mend)
}

func names[T any](keys []key[T]) []string {
	n := make([]string, len(keys))
	for i, k := range keys {
		n[i] = k.name
	}
	return n
}

func aliases[T any](keys []key[T]) map[string]string {
	m := make(map[string]string)
	for _, k := range keys {
		for _, a := range k.also {
			m[a] = k.name
		}
	}
	return m
}

// ---- kinds of value ----

func duration[T any](name string, field func(*T) *time.Duration, low, high time.Duration, def, doc string) key[T] {
	takes := fmt.Sprintf("a duration from %s to %s", printDuration(low), printDuration(high))
	return key[T]{
		name: name, takes: takes, def: def, doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			s, ok := r.text(n, takes)
			if !ok {
				return
			}
			d, err := time.ParseDuration(s)
			switch {
			case err != nil && isNumber(s):
				r.fault(n, fmt.Sprintf("%s %s has no unit", name, s), takes, fmt.Sprintf("write %ss or %sms", s, s))
			case err != nil:
				r.fault(n, fmt.Sprintf("%s %q is not a duration", name, s), takes, "write it as 125s, 2m5s or 500ms")
			case d < low || d > high:
				r.fault(n, fmt.Sprintf("%s %s is out of range", name, s), takes, "")
			default:
				*field(v) = d
			}
		},
		print: func(v *T) string { return printDuration(*field(v)) },
	}
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func number[T any, N int | uint8 | uint32 | uint64](name string, field func(*T) *N, low, high N, def, doc string) key[T] {
	takes := fmt.Sprintf("a whole number from %d to %d", low, high)
	return key[T]{
		name: name, takes: takes, def: def, doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			if x, ok := readNumber(r, n, name, low, high, takes); ok {
				*field(v) = x
			}
		},
		print: func(v *T) string { return fmt.Sprint(*field(v)) },
	}
}

func readNumber[N int | uint8 | uint32 | uint64](r *reader, n ast.Node, name string, low, high N, takes string) (N, bool) {
	s, ok := r.text(n, takes)
	if !ok {
		return 0, false
	}
	x, err := strconv.ParseInt(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		r.fault(n, fmt.Sprintf("%s %s is out of range", name, s), takes, "")
	case err != nil:
		r.fault(n, fmt.Sprintf("%s %q is not a whole number", name, s), takes, "")
	case x < int64(low) || uint64(max(x, 0)) > uint64(high):
		r.fault(n, fmt.Sprintf("%s %s is out of range", name, s), takes, "")
	default:
		return N(x), true
	}
	return 0, false
}

func boolean[T any](name string, field func(*T) *bool, def, doc string) key[T] {
	const takes = "true or false"
	return key[T]{
		name: name, takes: takes, def: def, doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			switch s, ok := r.text(n, takes); {
			case !ok:
			case s == "true" || s == "false":
				*field(v) = s == "true"
			default:
				r.fault(n, fmt.Sprintf("%s %q is neither true nor false", name, s), takes, "")
			}
		},
		print: func(v *T) string { return strconv.FormatBool(*field(v)) },
	}
}

// address reads an address of a family (0: either) without zone.
func (r *reader) address(n ast.Node, name string, f engine.Family) (netip.Addr, bool) {
	takes := familyName(f, "an IPv4 or IPv6 address", "an %s address")
	s, ok := r.text(n, takes)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		mend := ""
		if _, err := netip.ParsePrefix(s); err == nil {
			mend = "remove the prefix length"
		}
		r.fault(n, fmt.Sprintf("%s %q is not an address", name, s), takes, mend)
	case a.Zone() != "":
		r.fault(n, fmt.Sprintf("%s %s has a zone", name, s), takes, "remove the % and what follows it; name the interface by its own key")
	case a.Is4In6():
		r.fault(n, fmt.Sprintf("%s %s is an IPv4 address in IPv6 clothes", name, s), takes, "write "+a.Unmap().String())
	case f != 0 && engine.FamilyOf(a) != f:
		r.fault(n, fmt.Sprintf("%s %s is of the wrong family", name, s), takes, "")
	default:
		return a, true
	}
	return netip.Addr{}, false
}

// prefix reads a prefix of a family (0: either) whose host bits are zero.
func (r *reader) prefix(n ast.Node, name string, f engine.Family) (netip.Prefix, bool) {
	p, ok := r.anyPrefix(n, name, f)
	if ok && p != p.Masked() {
		r.fault(n, fmt.Sprintf("%s %s has bits beyond its length", name, p), "the first address of the prefix", "write "+p.Masked().String())
		return netip.Prefix{}, false
	}
	return p, ok
}

func (r *reader) anyPrefix(n ast.Node, name string, f engine.Family) (netip.Prefix, bool) {
	takes := familyName(f, "an IPv4 or IPv6 prefix", "an %s prefix") + " (ADDRESS/LENGTH)"
	s, ok := r.text(n, takes)
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		mend := ""
		if a, aerr := netip.ParseAddr(s); aerr == nil && a.Zone() == "" {
			mend = fmt.Sprintf("write the length, as in %s/%d", s, a.BitLen())
		} else if before, length, found := strings.Cut(s, "/"); found {
			if a, aerr := netip.ParseAddr(before); aerr == nil && a.Zone() == "" {
				mend = fmt.Sprintf("%s needs a length from 0 to %d, not %q", before, a.BitLen(), length)
			}
		} else if s == "default" {
			mend = "write 0.0.0.0/0 or ::/0"
		}
		r.fault(n, fmt.Sprintf("%s %q is not a prefix", name, s), takes, mend)
		return netip.Prefix{}, false
	}
	switch {
	case p.Addr().Is4In6():
		r.fault(n, fmt.Sprintf("%s %s is an IPv4 prefix in IPv6 clothes", name, s), takes, "write it as IPv4")
	case f != 0 && engine.FamilyOf(p.Addr()) != f:
		r.fault(n, fmt.Sprintf("%s %s is of the wrong family", name, s), takes, "")
	default:
		return p, true
	}
	return netip.Prefix{}, false
}

// groups reads a prefix of multicast groups.
func (r *reader) groups(n ast.Node, name string, f engine.Family) (netip.Prefix, bool) {
	p, ok := r.prefix(n, name, f)
	if !ok {
		return p, false
	}
	if all := AllGroups(engine.FamilyOf(p.Addr())); p.Bits() < all.Bits() || !all.Contains(p.Addr()) {
		r.fault(n, fmt.Sprintf("%s %s is not all multicast", name, p), "a prefix in "+all.String(), "")
		return netip.Prefix{}, false
	}
	return p, true
}

// AllGroups returns the prefix of all multicast addresses of f.
func AllGroups(f engine.Family) netip.Prefix {
	if f == engine.IPv4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4)
	}
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8)
}

func familyName(f engine.Family, both, one string) string {
	switch f {
	case engine.IPv4:
		return fmt.Sprintf(one, "IPv4")
	case engine.IPv6:
		return fmt.Sprintf(one, "IPv6")
	}
	return both
}

// nearest returns the known name that name was probably meant to be; "" if none is near.
func nearest(name string, known []string, also map[string]string) string {
	plain := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if k, ok := also[plain]; ok {
		return k
	}
	best, least := "", max(2, len(plain)/3)+1
	for _, k := range known {
		if d := distance(plain, k); d < least {
			best, least = k, d
		}
	}
	for a, k := range engine.Sorted(also) {
		if d := distance(plain, a); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of characters to insert, delete, replace, or swap with the next, to make a out of b.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, above, row := rows[(i+2)%3], rows[(i)%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
