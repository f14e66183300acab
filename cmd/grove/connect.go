package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"grove/daemon/api"
	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/daemon/config"
)

// remote is how commands reach a router.
type remote struct{ socket string }

// flags adds the option that names the router.
func (r *remote) flags(c *cobra.Command) {
	c.PersistentFlags().StringVarP(&r.socket, "socket", "s", "",
		"unix socket of groved (default $GROVE_SOCKET, or "+config.DefaultSocket+")")
}

func (r *remote) path() string {
	return cmp.Or(r.socket, os.Getenv("GROVE_SOCKET"), config.DefaultSocket)
}

func (r *remote) client() grovev1connect.RouterServiceClient { return api.Dial(r.path()) }

// explain says what an error of a call means and what helps.
func (r *remote) explain(err error) error {
	path := r.path()
	unreachable := func(why string) error {
		return &exitError{exitUnreachable, fmt.Errorf("no router answers at %s: %s", path, why)}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unreachable("there is no such socket.\nIs groved running? Start it by groved -c FILE, or name its socket by --socket or GROVE_SOCKET")
	case errors.Is(err, syscall.ECONNREFUSED):
		return unreachable("nobody listens.\ngroved has ended without removing its socket: start it again by groved -c FILE")
	case errors.Is(err, fs.ErrPermission):
		return unreachable("permission denied.\nRun grove as root, or as a member of the socket's group")
	}
	var remote *connect.Error
	if errors.As(err, &remote) {
		switch {
		case remote.Code() == connect.CodeCanceled || errors.Is(err, context.Canceled):
			return &exitError{exitFailed, errors.New("interrupted")}
		case remote.Code() == connect.CodeUnavailable:
			return unreachable(remote.Message())
		case remote.Code() == connect.CodeUnimplemented:
			return fmt.Errorf("the router at %s is of an older version: %s", path, remote.Message())
		case remote.Code() == connect.CodeInvalidArgument:
			return usage("%s", remote.Message())
		}
		return errors.New(remote.Message())
	}
	return err
}
