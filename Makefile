# Everything is built from source and package registries; tools go to a cache
# outside the repository.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MESHC_TOOLS ?= $(HOME)/.cache/meshc/tools
export MESHC_TOOLS
export PATH := $(MESHC_TOOLS)/bin:$(PATH)

ENVOY_VERSION       := 1.40.0
STATICCHECK_VERSION := v0.8.2
CUE_VERSION         := v0.17.1
H2SPEC_VERSION      := v2.2.1+incompatible
BUF_VERSION         := v1.75.0
# Packages below testdata are skipped by ./..., so they are named.
PACKAGES := ./... ./testdata/genmesh/...

.PHONY: help tools build demo demo-script test test-race soak fuzz check golden bench-dataplane bench-compile bench-diff bench-reconcile clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-15s %s\n", $$1, $$2}'

tools: ## bring Envoy, cue, staticcheck and Kubernetes' API server into the tool cache
	@tools/install.sh "$(MESHC_TOOLS)" "$(ENVOY_VERSION)" "$(STATICCHECK_VERSION)" "$(CUE_VERSION)" "$(H2SPEC_VERSION)" "$(BUF_VERSION)"

build: ## build the commands into bin/
	go build -trimpath -o bin/ ./cmd/... ./examples/bookinfo/... ./tools/demo

demo: build ## run Bookinfo on this machine from a fresh Git repository; Ctrl-C ends it
	@exec bin/demo

demo-script: build ## run the routing lab commit by commit and print a table
	@exec bin/demo -script

test: tools ## run all tests, with the checks that CI makes
	@tools/test.sh

test-race: tools ## run all tests under the race detector
	go test -race -timeout 40m $(PACKAGES)

soak: tools build ## run the long versions of the tests; keeps raw output in docs/evidence
	@tools/soak.sh

fuzz: ## run every fuzz target for FUZZTIME (default 1m)
	@tools/fuzz.sh

golden: ## rewrite the golden files
	MESHC_UPDATE=1 go test -timeout 20m $$(go list ./compiler/... ./cmd/... ./dataplane/resource/... ./test/language)

check: tools ## what CI checks beside the tests
	@tools/check.sh

bench-dataplane: tools build ## CPU, latency and memory of forwarding beside HAProxy, nginx and Envoy
	go build -trimpath -o bin/ ./tools/benchdataplane
	@exec bin/benchdataplane

bench-compile: tools build ## CPU, wall time and memory of vet and compile beside stock cue
	go build -trimpath -o bin/ ./testdata/genmesh ./tools/benchcompile
	@exec bin/benchcompile

bench-diff: tools build ## CPU, wall time and memory of the difference in behaviour beside cue export
	go build -trimpath -o bin/ ./testdata/genmesh ./tools/benchdiff
	@exec bin/benchdiff

bench-reconcile: tools ## apply, healing, and commits to proxies, on a real API server with simulated proxies
	MESHC_BENCH=1 go test -v -count=1 -timeout 55m ./tools/benchreconcile

clean: ## remove what the build made
	rm -rf bin
