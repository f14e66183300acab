package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a file.
type Fault struct {
	File     string
	Line     int // from 1
	Column   int // from 1, in characters
	What     string
	Expected string
	Mend     string // how to mend it; may be empty
	Source   string // the line of the file
}

// String returns "file:line:column: what; expected ...; mend", and below it the line with a caret.
func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", f.File, f.Line, f.Column, f.What)
	if f.Expected != "" {
		b.WriteString("; expected " + f.Expected)
	}
	if f.Mend != "" {
		b.WriteString("; " + f.Mend)
	}
	if f.Source != "" {
		number := fmt.Sprintf("%5d | ", f.Line)
		fmt.Fprintf(&b, "\n%s%s\n%s^", number, f.Source, caretIndent(number, f.Source, f.Column))
	}
	return b.String()
}

// caretIndent fills the way to the caret with spaces, keeping tabs, so that it stands below its column.
func caretIndent(number, source string, column int) string {
	indent := strings.Repeat(" ", len(number)-2) + "| "
	for i, r := range []rune(source) {
		if i >= column-1 {
			break
		}
		if r == '\t' {
			indent += "\t"
		} else {
			indent += " "
		}
	}
	return indent
}

// Error is all that is wrong with a file, by line and column.
type Error struct{ Faults []Fault }

// Error lists all faults, one after the other.
func (e *Error) Error() string {
	var b strings.Builder
	for _, f := range e.Faults {
		b.WriteString(f.String())
		b.WriteByte('\n')
	}
	if n := len(e.Faults); n == 1 {
		b.WriteString("1 fault: the file is refused")
	} else {
		fmt.Fprintf(&b, "%d faults: the file is refused", n)
	}
	return b.String()
}

func (e *Error) sort() {
	slices.SortStableFunc(e.Faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
