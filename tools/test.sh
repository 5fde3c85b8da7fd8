#!/usr/bin/env bash
# Runs the tests. In CI (CI=true) a missing tool is a failure, not a skip.
set -euo pipefail
cd "$(dirname "$0")/.."
exec go test -timeout 40m ./... ./testdata/genmesh/...
