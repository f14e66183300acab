package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Print returns c as a file in which everything is written out, defaults included. Read back it is the same Config.
func (c *Config) Print() string { return printSection(topKeys, c)[1:] + "\n" }

// printSection returns the keys of v as lines, each after a line break, or " {}".
func printSection[T any](keys []key[T], v *T) string {
	var lines []string
	for _, k := range keys {
		if text := k.print(v); text != "" {
			lines = append(lines, keyLine(k.name, text))
		}
	}
	if len(lines) == 0 {
		return "{}"
	}
	return "\n" + strings.Join(lines, "\n")
}

// keyLine returns "name: text", or for several lines the name and the lines, indented.
func keyLine(name, text string) string {
	if strings.HasPrefix(text, "\n") {
		return name + ":" + strings.ReplaceAll(text, "\n", "\n  ")
	}
	return name + ": " + text
}

// block returns lines as the value of a key; "" if there are none.
func block(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "\n" + strings.Join(lines, "\n")
}

// printFlow returns the keys of v in one line in braces.
func printFlow[T any](keys []key[T], v *T) string {
	var pairs []string
	for _, k := range keys {
		if text := k.print(v); text != "" {
			pairs = append(pairs, k.name+": "+text)
		}
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

// plainWord is text that YAML takes as a string, without quotes, anywhere.
var plainWord = regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(/[0-9]+)?|/?[A-Za-z][A-Za-z0-9_./-]*)$`)

// quote returns s as a YAML string, without quotes where none are needed.
func quote(s string) string {
	if s == "" {
		return ""
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n", "none":
		return strconv.Quote(s)
	}
	if plainWord.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}

// quoteAll returns values as a YAML list in brackets.
func quoteAll[S fmt.Stringer](values []S) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v.String())
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// printDuration returns d in the largest unit that leaves no fraction: 125s, 2500ms.
func printDuration(d time.Duration) string {
	switch {
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	case d%time.Millisecond == 0:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	}
	return d.String()
}

// printable says whether s is made of visible characters and plain spaces.
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0
}
