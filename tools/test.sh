#!/usr/bin/env bash
# Runs the tests. In CI (CI=true) a missing tool is a failure, not a skip.
set -euo pipefail
cd "$(dirname "$0")/.."

# These build and run the programs, which Go's cache of test results does not
# know of: a result kept from before would speak for programs that have changed.
programs=(./deploy/ci ./test/e2e ./test/interop ./test/kube)

rest=$(go list ./... ./testdata/genmesh/... | grep -vE '/(deploy/ci|test/e2e|test/interop|test/kube)$')
failed=
go test -timeout 40m $rest || failed=1
go test -count=1 -timeout 40m "${programs[@]}" || failed=1
[ -z "$failed" ]
