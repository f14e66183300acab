package msdp_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files of the scenario scripts")

// TestScenarios runs testdata/*.txt. A script drives one Machine whose peers, rib and pimsm are the script's; under each command
// stands, indented, what the machine then did. Our own address towards all peers is 10.0.0.5. Commands:
//
//	addr A... | noaddr A...               addresses of this router, new and gone
//	peer A [mesh NAME] [default] [for RPS] [as N] [password S] [minttl N] [boundary GROUPS] [ttl N] [asks] [max N] [rate N] [burst N]
//	     [waiting N] [disabled]           a peer of the configuration, new or changed
//	nopeer A
//	in|out A permit|deny [source P] [group P] [rp P]
//	config originator [A] | originate permit|deny ... | recommended on|off | nodata | static RPS PEER | LIMIT N | go
//	connect A                             the connection with a peer comes about, from the side that opens it
//	accept A                              the peer opens a connection, whether it should or not
//	close A | fail A WHY...               the peer closes it; it breaks, or cannot be opened
//	path A none|local | path A via GW [ORIGIN] | path A ebgp|ibgp NEXTHOP NEIGHBOR [AS,AS...]
//	sa|response PEER RP S,G... [ttl N]    ttl: with a packet
//	flood PEER RP N                       N groups of one source
//	request PEER G | keepalive PEER | notify PEER CODE SUBCODE | from PEER HEX
//	slow PEER | written PEER N            from now on it reads only if told; so many bytes wait for it to read
//	source S,G RP [ttl N] | nosource S,G RP     pimsm's sources, with a packet
//	want G | unwant G                     pimsm has receivers
//	wait D                                time passes
//	show peers|sa-cache|rpf|rps|summary|counts [ARG]
//	quiet on|off                          print no transitions
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("scripts: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, string(golden))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(golden) {
				t.Errorf("%s: the machine does otherwise (-update rewrites):\n%s", file, firstDifference(string(golden), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for n := range min(len(w), len(g)) {
		if w[n] != g[n] {
			from := max(0, n-5)
			return fmt.Sprintf("line %d\n%s\nwant %s\ngot  %s\n...\n%s", n+1, strings.Join(g[from:n], "\n"), w[n], g[n],
				strings.Join(g[n:min(len(g), n+8)], "\n"))
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// run runs a script and returns it with what happened.
func run(t *testing.T, script string) string {
	w := newWorld(t)
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue // what happened the last time
		}
		fmt.Fprintln(&out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := w.do(strings.Fields(line)); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, l := range w.log {
			fmt.Fprintf(&out, "  %s\n", l)
		}
		w.log = nil
	}
	return out.String()
}
