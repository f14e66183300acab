package host

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is the network namespace that a Host was made in. A socket keeps its namespace, but one that is opened
// later (a new machine after a reload) must be opened in the same one. In groved that is the namespace of the process;
// in a test several Hosts of one process have each their own.
type namespace struct {
	file *os.File // nil: the namespace of the process
}

func currentNamespace() (namespace, error) {
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return namespace{}, fmt.Errorf("host: which namespace: %w", err)
	}
	mine, err := file.Stat()
	if err != nil {
		file.Close()
		return namespace{}, fmt.Errorf("host: which namespace: %w", err)
	}
	if whole, err := os.Stat("/proc/self/ns/net"); err == nil && os.SameFile(mine, whole) {
		file.Close()
		return namespace{}, nil
	}
	return namespace{file}, nil
}

// run calls f in the namespace.
func (n namespace) run(f func() error) error {
	if n.file == nil {
		return f()
	}
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

func (n namespace) close() error {
	if n.file == nil {
		return nil
	}
	return n.file.Close()
}
