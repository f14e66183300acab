package ipip

import "time"

// Bucket is a token bucket: what a tunnel may send. The zero value has no limit.
type Bucket struct {
	rate, burst float64 // bytes a second, bytes
	tokens      float64
	last        time.Time
}

// NewBucket returns a full bucket of so many kilobits a second. It takes a tenth of a second's worth at once, and always
// two packets of Ethernet.
func NewBucket(kbps uint64) Bucket {
	rate := float64(kbps) * 1000 / 8
	burst := Burst(kbps)
	return Bucket{rate: rate, burst: float64(burst), tokens: float64(burst)}
}

// Burst is how many bytes a bucket holds.
func Burst(kbps uint64) uint64 { return max(kbps*1000/8/10, 2*(1500+HeaderLen)) }

// Take says whether n bytes may be sent now, and counts them as sent if so. What must be sent is: then the bucket owes
// it, to the amount of a burst at most.
func (b *Bucket) Take(now time.Time, n int, must bool) bool {
	if b.rate == 0 {
		return true
	}
	if d := now.Sub(b.last); !b.last.IsZero() && d > 0 {
		b.tokens = min(b.tokens+d.Seconds()*b.rate, b.burst)
	}
	b.last = now
	if b.tokens < float64(n) && !must {
		return false
	}
	b.tokens = max(b.tokens-float64(n), -b.burst)
	return true
}
