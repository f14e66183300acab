package api_test

import (
	"os"
	"os/exec"
	"testing"

	"grove/internal/testneed"
)

// TestGenerated: the generated code is what the schema and the tools give.
func TestGenerated(t *testing.T) {
	testneed.Tool(t, "protoc")
	// Read here so that go test runs again when one of them changes.
	for _, file := range []string{
		"grove/v1/grove.proto", "grove/v1/grove.pb.go", "grove/v1/grovev1connect/grove.connect.go", "../../tools/generate.sh", "../../tools/go.mod",
	} {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("../../tools/generate.sh", "--check").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
