#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME (default 1m), one after the other, and
# fails at the end if one has found something.
# usage: fuzz.sh [DIR...]   only the targets below these directories
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- .

# fuzz runs one target. Before Go 1.27 the end of the time can be taken for a
# failure ("context deadline exceeded" and no input, golang.org/issue/75804): that
# has found nothing, and is run again, once.
fuzz() { # PACKAGE TARGET
	local out try
	out=$(mktemp)
	for try in 1 2; do
		echo "== $1 $2"
		if go test -run '^$' -fuzz "^$2\$" -fuzztime "${FUZZTIME:-1m}" -fuzzminimizetime 1x "./$1" 2>&1 | tee "$out"; then
			rm "$out"
			return
		fi
		grep -qx '    context deadline exceeded' "$out" && ! grep -q 'Failing input' "$out" || break
	done
	rm "$out"
	return 1
}

failed=
for file in $(git ls-files "${@/%//*_test.go}"); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		fuzz "${file%/*}" "$target" || failed="$failed ${file%/*}.$target"
	done
done
[ -z "$failed" ] || { echo "FAILED:$failed" >&2; exit 1; }
