package bootstrap

import (
	"fmt"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"grove/internal/engine"
)

// slowLog2 is the binary logarithm of a number >= 1, digit by digit: squaring doubles the logarithm.
func slowLog2(n *big.Int) float64 {
	log := float64(n.BitLen() - 1)
	x := new(big.Float).SetPrec(300).SetInt(n)
	x.SetMantExp(x, -(n.BitLen() - 1)) // 1 <= x < 2
	two := big.NewFloat(2)
	for digit := 0.5; digit > 1e-13; digit /= 2 {
		x.Mul(x, x)
		if x.Cmp(two) >= 0 {
			x.Quo(x, two)
			log += digit
		}
	}
	return log
}

// slowOverride is BS_Rand_Override by the pseudocode of section 5.
func slowOverride(me, stored slowBSR) time.Duration {
	num := func(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }
	bestPriority := me.priority
	bestAddr := num(me.address)
	if stored.address.IsValid() {
		if stored.priority > bestPriority {
			bestPriority = stored.priority
		}
		if num(stored.address).Cmp(bestAddr) > 0 {
			bestAddr = num(stored.address)
		}
	}
	seconds := 5 + 2*slowLog2(big.NewInt(1+int64(bestPriority)-int64(me.priority)))
	if bestPriority == me.priority {
		difference := new(big.Int).Sub(bestAddr, num(me.address))
		delay := slowLog2(difference.Add(difference, big.NewInt(1)))
		if me.address.Is4() {
			seconds += delay / 16
		} else {
			seconds += delay / 64
		}
	} else {
		half := 31
		if me.address.Is6() {
			half = 127
		}
		q, _ := new(big.Float).SetPrec(300).Quo(new(big.Float).SetInt(num(me.address)), new(big.Float).SetMantExp(big.NewFloat(1), half)).Float64()
		seconds += 2 - q
	}
	return time.Duration(seconds * float64(time.Second))
}

// override is what the code makes of it.
func override(me, stored slowBSR) time.Duration {
	z := zone{
		b: &Instance{cfg: Config{Second: time.Second}}, self: &Candidate{Address: me.address, Priority: me.priority},
		bsr: weight(stored),
	}
	return z.randOverride()
}

// TestRandOverride: values of BS_Rand_Override that were worked out by hand (section 5).
func TestRandOverride(t *testing.T) {
	bsr := func(priority uint8, a string) slowBSR { return slowBSR{priority, netip.MustParseAddr(a)} }
	for _, c := range []struct {
		me, stored slowBSR
		want       string
	}{
		{bsr(64, "10.0.0.1"), slowBSR{}, "5s"},                                            // nobody else
		{bsr(64, "10.0.0.1"), bsr(64, "10.0.0.1"), "5s"},                                  // itself
		{bsr(64, "10.0.0.2"), bsr(63, "10.0.0.1"), "5s"},                                  // the best
		{bsr(64, "10.0.0.1"), bsr(64, "10.0.0.16"), "5.25s"},                              // log2(16)/16
		{bsr(64, "10.0.0.1"), bsr(64, "10.0.1.0"), "5.5s"},                                // log2(256)/16
		{bsr(64, "0.0.0.0"), bsr(64, "255.255.255.255"), "7s"},                            // log2(2^32)/16
		{bsr(65, "10.0.0.1"), bsr(64, "10.0.0.16"), "5.25s"},                              // the priority is ours, the address the other's
		{bsr(64, "128.0.0.0"), bsr(65, "10.0.0.1"), "8s"},                                 // 2*log2(2) + 2 - 1
		{bsr(64, "192.0.0.0"), bsr(67, "1.0.0.1"), "9.5s"},                                // 2*log2(4) + 2 - 1.5
		{bsr(0, "0.0.0.0"), bsr(255, "255.255.255.255"), "23s"},                           // the longest
		{bsr(64, "2001:db8::1"), bsr(64, "2001:db8::2"), "5.015625s"},                     // log2(2)/64: their difference is lost in a float64
		{bsr(64, "2001:db8::1"), bsr(64, "2001:db8::10"), "5.0625s"},                      // log2(16)/64
		{bsr(64, "2001:db8::"), bsr(64, "2001:db8::ffff:ffff:ffff:ffff"), "6s"},           // log2(2^64)/64
		{bsr(64, "::"), bsr(64, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "7s"},         // log2(2^128)/64
		{bsr(64, "8000::"), bsr(65, "2001:db8::1"), "8s"},                                 // 2*log2(2) + 2 - 1
		{bsr(0, "::"), bsr(255, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "23s"},        // the longest
		{bsr(64, "2001:db8::ffff"), bsr(64, "2001:db8::1"), "5s"},                         // the best
		{bsr(64, "2001:db8:0:1::"), bsr(64, "2001:db8:0:1::ffff:ffff"), "5.5s"},           // log2(2^32)/64
		{bsr(1, "2001:db8:0:1::"), bsr(0, "2001:db8:0:1::ffff:ffff"), "5.5s"},             // as for IPv4
		{bsr(3, "::1"), bsr(10, "::2"), "13s"},                                            // 2*log2(8) + 2 - 2^-127
		{bsr(64, "2001:db8::1"), bsr(64, "2001:db8::1"), "5s"},                            // itself
		{bsr(64, "10.255.255.255"), bsr(64, "11.0.0.0"), "5.0625s"},                       // log2(2)/16
		{bsr(64, "2001:db8::1:ffff:ffff"), bsr(64, "2001:db8::2:0:0"), "5.015625s"},       // log2(2)/64
		{bsr(255, "10.0.0.1"), bsr(255, "10.0.0.2"), "5.0625s"},                           // the highest priorities
		{bsr(127, "128.0.0.0"), bsr(254, "1.0.0.1"), "20s"},                               // 2*log2(128) + 2 - 1
		{bsr(64, "10.0.0.1"), bsr(64, "9.255.255.255"), "5s"},                             // the best
		{bsr(0, "224.0.0.0"), bsr(15, "1.0.0.1"), "13.25s"},                               // 2*log2(16) + 2 - 1.75
		{bsr(0, "e000::"), bsr(15, "2001:db8::1"), "13.25s"},                              // the same for IPv6
		{bsr(64, "2001:db8::2"), bsr(64, "2001:db8::1"), "5s"},                            // the best of two that are close
		{bsr(64, "fd00::1"), bsr(64, "fd00::1:0:0:0"), "5.75s"},                           // log2(2^48)/64
		{bsr(200, "255.255.255.255"), bsr(201, "255.255.255.255"), "7.0000000004656613s"}, // 2*log2(2) + 2 - (2 - 2^-31)
	} {
		want, err := time.ParseDuration(c.want)
		if err != nil {
			t.Fatal(err)
		}
		for who, got := range map[string]time.Duration{"the code": override(c.me, c.stored), "the slow reading": slowOverride(c.me, c.stored)} {
			if (got - want).Abs() > time.Microsecond {
				t.Errorf("%v against %v: %v by %s, want %v", c.me, c.stored, got, who, want)
			}
		}
	}
}

// TestRandOverrideOrder: it is between 5 and 23 seconds, and no longer for a higher weight: so the best starts first.
func TestRandOverrideOrder(t *testing.T) {
	for _, family := range []engine.Family{engine.IPv4, engine.IPv6} {
		n := newNetwork(t, family, 1)
		random := func() slowBSR {
			size := allMulticast(family).Addr().BitLen() / 8
			b := make([]byte, size)
			if family == engine.IPv6 && n.rng.IntN(2) == 0 { // close addresses
				copy(b, []byte{0x20, 0x01, 0x0d, 0xb8})
				b[size-1] = byte(n.rng.Uint32())
			} else {
				for i := range b {
					b[i] = byte(n.rng.Uint32())
				}
			}
			a, _ := netip.AddrFromSlice(b)
			return slowBSR{uint8(n.rng.IntN(4) * 85), a}
		}
		for range 20_000 {
			a, b, stored := random(), random(), random()
			if !b.atLeast(a) {
				a, b = b, a
			}
			worse, better := override(a, stored), override(b, stored)
			name := fmt.Sprintf("stored %v: %v has %v, %v has %v", stored, a, worse, b, better)
			for _, d := range []time.Duration{worse, better} {
				if d < 5*time.Second || d > 23*time.Second+time.Microsecond {
					t.Fatal(name)
				}
			}
			// The pseudocode does not order all: of two low priorities that are close the addresses may count for more. And all that
			// are better than the stored one take its place at once.
			ordered := a.priority == b.priority || b.priority == stored.priority
			if stored.atLeast(b) && ordered && better > worse {
				t.Fatal(name)
			}
			if (worse - slowOverride(a, stored)).Abs() > time.Microsecond {
				t.Fatal(name, slowOverride(a, stored))
			}
		}
	}
}
