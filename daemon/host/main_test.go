package host

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing that a host started runs on after it has ended.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
