package engine

// Counts are named counters: what was dropped and why, what was sent and received. Show prints them. The zero value is
// ready.
type Counts struct{ m map[string]uint64 }

// Add counts one under name. Names are fixed words of the code, never text from a packet, so that they are few.
func (c *Counts) Add(name string) { c.AddN(name, 1) }

// AddN counts n under name.
func (c *Counts) AddN(name string, n uint64) {
	if c.m == nil {
		c.m = make(map[string]uint64)
	}
	c.m[name] += n
}

// Get returns the count of name.
func (c *Counts) Get(name string) uint64 { return c.m[name] }

// Snapshot returns a copy.
func (c *Counts) Snapshot() map[string]uint64 {
	s := make(map[string]uint64, len(c.m))
	for k, v := range Sorted(c.m) {
		s[k] = v
	}
	return s
}
