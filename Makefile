# What a person types: make lab, make test. The rest serves these two.

GO ?= go
# sudo leaves out the place where Go is usually installed.
export PATH := $(PATH):/usr/local/go/bin

.PHONY: all build lab test quick generate check bench clean

all: build

build: ## groved and grove, static, into bin/
	CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/groved ./cmd/grove

LAB ?= 06

lab: build ## a lab, 06-pim-sm or LAB=NN: on the real kernel as root, else in the simulator
	@if [ "$$(id -u)" = 0 ]; then \
		bin/grove lab run $(LAB) --engine netns; \
	else \
		echo "not root: the lab runs in the simulator; 'sudo make lab' runs it on the kernel"; \
		bin/grove lab run $(LAB) --engine sim; \
	fi

test: ## installs what is missing and runs every test
	@if [ "$$(id -u)" = 0 ]; then tools/install-test-needs; \
	else tools/install-test-needs -n || echo "not root: tests that need the above, or root, are skipped"; fi
	$(MAKE) check build
	tools/run-tests

quick: ## the tests that need nothing but Go
	$(GO) test -short ./...

generate: ## the code of the management API from its schema
	tools/generate.sh

check: ## format, vet, lint; a test holds the generated code to its schema
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

bench: ## prints the numbers that docs/benchmarks.md records
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 1h ./...

clean:
	rm -rf bin
