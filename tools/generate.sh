#!/bin/sh
# Makes the generated code: the management API's from its schema. Needs protoc (Debian: protobuf-compiler, libprotobuf-dev).
#
#   tools/generate.sh           write it
#   tools/generate.sh --check   write nothing; say what is not current, and exit 1 if anything is
set -eu
cd "$(dirname "$0")/.."

if ! command -v protoc >/dev/null; then
	echo "generate: protoc is missing: apt-get install protobuf-compiler libprotobuf-dev" >&2
	exit 2
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin" "$tmp/out"
(cd tools && GOBIN="$tmp/bin" go install -mod=readonly tool)

api=daemon/api
PATH="$tmp/bin:$PATH" protoc --proto_path="$api" \
	--go_out="$tmp/out" --go_opt=module=grove \
	--connect-go_out="$tmp/out" --connect-go_opt=module=grove \
	"$api/grove/v1/grove.proto"
# protoc's own version stands in the generated files, but does not change the code: leave it out, so that any will do.
find "$tmp/out" -name '*.go' -exec sed -i '/^\/\/ 	*protoc  *v/d' {} +

if [ "${1:-}" = --check ]; then
	if ! (cd "$tmp/out" && find . -name '*.go' | sort | while read -r f; do diff -u "$OLDPWD/$f" "$f" || exit 1; done) >"$tmp/diff"; then
		head -40 "$tmp/diff"
		echo "generate: the generated code is not current: run tools/generate.sh and commit" >&2
		exit 1
	fi
	exit 0
fi
cp -r "$tmp/out/." .
