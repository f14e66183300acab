package host

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is the network namespace that a Host was made in. A socket keeps its namespace, but one that is opened
// later (a membership, a new machine after a reload) must be opened in the same one. In groved that is where every
// thread is; in a test several Hosts of one process have each their own.
type namespace struct {
	file *os.File
	info os.FileInfo
}

const threadNamespace = "/proc/thread-self/ns/net"

func currentNamespace() (namespace, error) {
	file, err := os.Open(threadNamespace)
	if err != nil {
		return namespace{}, fmt.Errorf("host: which namespace: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return namespace{}, fmt.Errorf("host: which namespace: %w", err)
	}
	return namespace{file, info}, nil
}

// run calls f in the namespace.
func (n namespace) run(f func() error) error {
	runtime.LockOSThread()
	here, err := os.Stat(threadNamespace)
	if err == nil && os.SameFile(here, n.info) {
		defer runtime.UnlockOSThread()
		return f()
	}
	runtime.UnlockOSThread()
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and with it its change of namespace.
		runtime.LockOSThread()
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("host: enter the namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

func (n namespace) close() error { return n.file.Close() }
