#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME (default 1m), one after the other, and
# fails at the end if one has found something.
# usage: fuzz.sh [DIR...]   only the targets below these directories
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- .
failed=
for file in $(git ls-files "${@/%//*_test.go}"); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "== ${file%/*} $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" -fuzzminimizetime 1x "./${file%/*}" || failed="$failed ${file%/*}.$target"
	done
done
[ -z "$failed" ] || { echo "FAILED:$failed" >&2; exit 1; }
