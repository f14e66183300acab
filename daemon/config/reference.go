package config

import (
	"fmt"
	"strings"
)

// reference is a table of keys as people read it.
type reference struct{ keys []referenceKey }

type referenceKey struct {
	name, takes, def, doc string
	sub                   *reference
}

func refer[T any](keys []key[T]) *reference {
	ref := &reference{}
	for _, k := range keys {
		ref.keys = append(ref.keys, referenceKey{k.name, k.takes, k.def, k.doc, k.sub})
	}
	return ref
}

// Reference returns the tables of keys as Markdown, a section for each mapping: docs/configuration.md has it.
func Reference() string {
	var b strings.Builder
	refer(topKeys).write(&b, "The file", "")
	return b.String()
}

// write writes the section for the mapping at path, and then those below it.
func (r *reference) write(b *strings.Builder, title, path string) {
	fmt.Fprintf(b, "### %s\n\n| key | value | default | |\n|---|---|---|---|\n", title)
	for _, k := range r.keys {
		takes, def := k.takes, k.def
		if k.sub != nil {
			takes = strings.TrimSuffix("["+orElse(takes, "keys")+"](#"+anchor(path+k.name)+")", " ")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.name, cell(takes), cell(def), cell(k.doc))
	}
	b.WriteByte('\n')
	for _, k := range r.keys {
		if k.sub != nil {
			below := path + k.name
			if k.name == "interfaces" {
				below += ".NAME"
			} else if strings.Contains(k.takes, "a list") {
				below += "[]"
			}
			k.sub.write(b, "`"+below+"`", below+".")
		}
	}
}

// anchor is the fragment that Markdown makes of the heading of the section at path.
func anchor(path string) string {
	if path == "interfaces" {
		path += ".NAME"
	}
	return strings.NewReplacer(".", "", "[]", "", "`", "").Replace(strings.ToLower(path))
}

func cell(s string) string { return strings.ReplaceAll(orElse(s, " "), "|", "\\|") }

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
