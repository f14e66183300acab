package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// table is text in aligned columns.
type table struct {
	head []string
	rows [][]string
}

func newTable(head ...string) *table { return &table{head: head} }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// write prints the table, the head in bold if the output is a terminal. Empty cells are dashes in the first row of an
// entry, and stay empty in rows whose first cell is empty: those go on with the entry above.
func (t *table) write(w io.Writer) {
	width := make([]int, len(t.head))
	for i, h := range t.head {
		width[i] = utf8.RuneCountInString(h)
	}
	for _, r := range t.rows {
		for i := range r {
			if r[i] == "" && r[0] != "" {
				r[i] = "-"
			}
			width[i] = max(width[i], utf8.RuneCountInString(r[i]))
		}
	}
	line := func(cells []string) string {
		var b strings.Builder
		for i, c := range cells {
			b.WriteString(c)
			b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+2))
		}
		return strings.TrimRight(b.String(), " ")
	}
	head := line(t.head)
	if terminal(w) {
		head = "\x1b[1m" + head + "\x1b[0m"
	}
	fmt.Fprintln(w, head)
	for _, r := range t.rows {
		fmt.Fprintln(w, line(r))
	}
}

// terminal says whether w is a terminal that may be sent colours (https://no-color.org).
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// clock prints a time left or an age as 00:02:31, and as 1d02h03m from a day on; "" for none.
func clock(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	s := int64(d.AsDuration() / time.Second)
	if s >= 86400 {
		return fmt.Sprintf("%dd%02dh%02dm", s/86400, s/3600%24, s/60%60)
	}
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

// span prints a configured duration as 30s or 12.5s.
func span(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return d.AsDuration().String()
}

func yes(b bool, word string) string {
	if b {
		return word
	}
	return ""
}

// toJSON returns a message as JSON with every field of the schema, under the names of the schema.
func toJSON(m proto.Message) ([]byte, error) {
	data, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	// protojson varies its spaces on purpose.
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// writeJSON prints a message as indented JSON.
func writeJSON(w io.Writer, m proto.Message) error {
	data, err := toJSON(m)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}
