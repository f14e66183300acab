// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

import "log/slog"

func f() { slog.Info("x") }
