// Package fixture breaks the rule that its folder names: it imports every package that a Machine must not.
package fixture

import (
	_ "context"
	_ "crypto/rand"
	_ "log"
	_ "log/slog"
	_ "math/rand"
	_ "net"
	_ "net/http"
	_ "os"
	_ "os/exec"
	_ "os/signal"
	_ "reflect"
	_ "runtime"
	_ "sync"
	_ "sync/atomic"
	_ "syscall"
	_ "unsafe"

	_ "github.com/sirupsen/logrus"
)
