package wire

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"grove/internal/testneed"
)

// TestCodesBothWays: every code decodes to a value that encodes to it, values between two codes are rounded down, and
// the values rise with the codes.
func TestCodesBothWays(t *testing.T) {
	for _, mantissa := range []int{4, 12} {
		last := uint32(0)
		top := uint32(1)<<(mantissa+4) - 1
		for code := uint32(0); code <= top; code++ {
			v := decodeFloat(code, mantissa)
			if code > 0 && v <= last {
				t.Fatalf("%d bits: code %d is %d, the one before it %d", mantissa, code, v, last)
			}
			if got := encodeFloat(v, mantissa); got != code {
				t.Fatalf("%d bits: %d encodes to %d, want %d", mantissa, v, got, code)
			}
			if code > 0 && encodeFloat(v-1, mantissa) != code-1 {
				t.Fatalf("%d bits: %d does not round down to code %d", mantissa, v-1, code-1)
			}
			last = v
		}
		if got := encodeFloat(1<<31, mantissa); got != top {
			t.Errorf("%d bits: a huge value encodes to %d", mantissa, got)
		}
	}
}

// TestCodesKnownAnswers: the rows of the table of known answers.
func TestCodesKnownAnswers(t *testing.T) {
	f, err := os.Open(filepath.Join(testneed.Shared(t), "vectors.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		col := strings.Split(s.Text(), "\t")
		if len(col) < 4 {
			continue
		}
		var code, want, got uint32
		switch {
		case strings.HasPrefix(col[1], "RFC3376 4.1.1"):
			_, err = fmt.Sscanf(col[2]+" "+col[3], "code=%d(0x%x) MaxRespTime=%d", &code, new(uint32), &want)
			got = decodeFloat(code, 4)
		case strings.HasPrefix(col[1], "RFC3810 5.1.3"):
			_, err = fmt.Sscanf(col[2]+" "+col[3], "code=0x%x %d ms", &code, &want)
			got = decodeFloat(code, 12)
		default:
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: got %d (%v)", s.Text(), got, err)
		}
		rows++
	}
	if rows < 15 {
		t.Errorf("only %d rows found", rows)
	}
}
