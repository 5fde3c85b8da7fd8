#!/usr/bin/env bash
# What CI checks beside the tests: format, vet, lint, tidy modules, goldens.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(./... ./testdata/genmesh/...)
step() { printf '\n== %s\n' "$*"; "$@"; }

unformatted=$(gofmt -l $(git ls-files '*.go'))
[ -z "$unformatted" ] || { printf 'not gofmt-ed:\n%s\n' "$unformatted" >&2; exit 1; }
step go vet "${packages[@]}"
step staticcheck "${packages[@]}"
step go mod tidy -diff
step go test -count=1 ./tools

step make golden
if [ -n "$(git status --porcelain -- '*testdata*' docs/xds-support.md docs/features.md)" ]; then
	echo 'golden files are out of date:' >&2
	git status --short >&2
	exit 1
fi
