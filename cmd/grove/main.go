// Command grove is the person's tool: it shows what a router knows, watches what changes, sends and receives test
// packets, and checks configurations.
//
// Exit status, of every command but lab:
//
//	0  done
//	1  it failed, or the answer is no: a faulty configuration, nothing received, fewer packets than --count
//	2  the command line cannot be meant
//	3  no router answers on the socket
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// The exit statuses.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitUnreachable
)

// exitError is an error with the status to exit with; a nil err says nothing more.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, command(), os.Args[1:]))
}

// executor is the root command: cobra's, with its writers.
type executor interface {
	SetArgs([]string)
	ExecuteContext(context.Context) error
	PrintErrln(...any)
}

// run executes the command line and returns the status to exit with.
func run(ctx context.Context, root executor, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	status := exitFailed
	var exit *exitError
	if errors.As(err, &exit) {
		if status = exit.status; exit.err == nil {
			return status
		}
	}
	root.PrintErrln("grove:", err)
	return status
}
