// Package clab holds the proof that containerlab accepts the topology files of the labs.
package clab

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"grove/internal/testneed"
)

// TestContainerlabAccepts: containerlab's own reader takes every lab's topology, with every node and link.
func TestContainerlabAccepts(t *testing.T) {
	clab := testneed.Built(t, "containerlab", "tools/run-tests builds it from tools/containerlab")
	files, err := filepath.Glob("../*/*.clab.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no topology files: %v", err)
	}
	socket := dockerVersion(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			// containerlab writes its working directory next to the file: give it a copy of the folder.
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Dir(file))); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(clab, "graph", "--offline", "--mermaid", "-t", filepath.Base(file))
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+socket)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			graph, err := filepath.Glob(filepath.Join(dir, "clab-*", "graph", "*.mermaid"))
			if err != nil || len(graph) != 1 {
				t.Fatalf("containerlab wrote no graph: %v\n%s", err, out)
			}
			drawn, err := os.ReadFile(graph[0])
			if err != nil {
				t.Fatal(err)
			}
			links := strings.Count(string(drawn), "---")
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Count(string(source), "endpoints:"); links < want {
				t.Errorf("containerlab drew %d links of %d:\n%s", links, want, drawn)
			}
		})
	}
}

// dockerVersion answers the one question that containerlab 0.79 asks a Docker daemon before it draws an offline graph,
// and returns the socket to ask on.
func dockerVersion(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.47")
		if strings.HasSuffix(r.URL.Path, "/version") {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"Version":"27.0.0","ApiVersion":"1.47","MinAPIVersion":"1.24"}`)
		}
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return socket
}
