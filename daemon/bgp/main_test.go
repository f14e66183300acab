package bgp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
)

// inNamespace marks the process that is in the network namespace that was made for it.
const inNamespace = "GROVE_BGP_TEST_NAMESPACE"

// ourAddresses are on lo of that namespace, one for each speaker that a test may have.
var ourAddresses = []string{
	"10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32", "10.0.0.4/32",
	"2001:db8::1/128", "2001:db8::2/128", "2001:db8::3/128", "2001:db8::4/128",
}

// TestMain runs the tests in a network namespace of their own if we are root, for GoBGP opens its sockets in that of the
// process. Those that need no session run without.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 || os.Getenv(inNamespace) != "" {
		if os.Getenv(inNamespace) != "" {
			if err := prepare(); err != nil {
				fmt.Fprintln(os.Stderr, "the namespace of the tests:", err)
				os.Exit(1)
			}
		}
		// GoBGP sometimes leaves a channel's goroutine behind at the end of a session.
		goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/eapache/channels.(*InfiniteChannel).infiniteBuffer"))
		return
	}
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Env = append(os.Environ(), inNamespace+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	runtime.LockOSThread() // the child dies with the thread that started it
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := again.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		os.Exit(max(1, ended.ExitCode()))
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func prepare() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, text := range ourAddresses {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			return err
		}
		network.IP = ip
		if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: network}); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return netlink.LinkSetUp(lo)
}
