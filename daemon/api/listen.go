package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"grove/daemon/api/grove/v1/grovev1connect"
)

// ErrInUse says that another process listens on the socket.
var ErrInUse = errors.New("another groved listens there")

// Listen opens the unix socket at path, for its owner and group (mode 0660). The folder is made if it is missing, and a
// socket that a dead process left is replaced.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("api: socket %s: %w", path, err)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("api: socket %s: %w", path, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("api: socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, fmt.Errorf("api: socket %s: %w", path, err)
	}
	return l, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("a file that is no socket stands there: remove it, or set api: {socket: PATH}")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("%w: stop it, or give this one another socket by api: {socket: PATH}", ErrInUse)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// Server returns a server of r, to be run by Serve on what Listen returned. It speaks HTTP/1.1 and, for gRPC, HTTP/2.
// Close ends it at once, streams included; Shutdown would wait for those.
func Server(r Router) *http.Server {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: New(r), Protocols: p, ReadHeaderTimeout: 10 * time.Second}
}

// Dial returns a client of the router that listens on the socket at path. No connection is made before the first call.
func Dial(path string) grovev1connect.RouterServiceClient {
	return grovev1connect.NewRouterServiceClient(&http.Client{Transport: &http.Transport{DialContext: Dialer(path)}}, "http://grove")
}

// Dialer returns what an http.Transport dials with to reach the socket at path, whatever the address.
func Dialer(path string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
}
