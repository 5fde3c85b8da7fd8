#!/usr/bin/env bash
# Runs the long versions of the tests in parts of less than an hour each. The
# raw output of a part goes to docs/evidence/soak/PART.txt. A part that has
# passed for these sources is not run again, so a soak that was interrupted goes
# on where it was.
# usage: soak.sh [-f] [PART...]   -f runs a part even if it has passed; a name
# that several begin with, as "language" or "load", stands for all of them
set -euo pipefail
cd "$(dirname "$0")/.."

force=
if [ "${1-}" = -f ]; then force=1; shift; fi
evidence=docs/evidence/soak
mkdir -p "$evidence"

declare -A part
part[lab]='go test -v -count=1 -timeout 55m ./test/e2e -run TestRoutingLab'
part[kills]='go test -v -count=1 -timeout 55m ./test/e2e -run Controller|Proxy|Commits'
part[e2e]='go test -v -count=1 -timeout 55m ./test/e2e -skip RoutingLab|Controller|Proxy|Commits|Bombs'
part[kube]='go test -v -count=1 -timeout 55m ./test/kube ./reconciler/store/cluster ./reconciler/discover/kube'
part[envoy]='go test -v -count=1 -timeout 55m ./compiler/emit/xds -run TestEnvoyValidates'
part[reach]='go test -v -count=1 -timeout 55m ./compiler/reach/...'
part[overlap]='go test -v -count=1 -timeout 55m ./compiler/check -run TestOverlap|AgainstEveryRequest|TestDomainIs'
part[bombs]='go test -v -count=1 -p 1 -timeout 55m ./compiler/load ./test/e2e -run TestBomb'
part[hostile]='go test -v -count=1 -timeout 55m ./cmd/meshc -run TestHostileMeshesEnd'
part[behave]='go test -v -count=1 -timeout 55m ./compiler/behave/... -skip TestMutations'
for i in 1 2 3 4 5; do
	part[mutations-$i]="env MESHC_SOAK_PART=$i/5 go test -v -count=1 -timeout 55m ./compiler/behave -run TestMutations"
done
part[csr]='go test -v -count=1 -timeout 55m ./ca -run TestNoRequestReachesACertificate|TestKilledAtEveryWrite|TestADiskThatFailsAtEveryWrite'
part[identity]='go test -v -count=1 -p 1 -parallel 1 -timeout 55m ./dataplane ./dataplane/identity -run TestRotationUnderLoadFailsNobody|TestCompromiseDrill|TestConnectionsOfADroppedRootEnd'
part[vectors]='go test -v -count=1 -timeout 55m ./dataplane/transport -run TestBetterTLS'
part[attacks]='go test -v -count=1 -timeout 55m ./dataplane/engine -run Attacks|Slow|ManyBytes|H2spec|Smuggling'
part[witnesses]='go test -v -count=1 -timeout 55m ./test/interop -run TestWitnesses'
part[interop]='go test -v -count=1 -timeout 55m ./test/interop -skip TestWitnesses|TestDifferential|TestFlat|UnderLoad'
part[drops]='go test -v -count=1 -timeout 55m ./test/interop -run UnderLoad'
part[flat]='go test -v -count=1 -timeout 55m ./test/interop -run TestFlat$'
part[differential]='go test -v -count=1 -timeout 55m ./test/interop -run TestDifferential$'
for i in 1 2 3 4; do
	part[language-$i]="env MESHC_SOAK_PART=$i/4 go test -v -count=1 -timeout 55m ./test/language -run TestWholeLanguage"
done
part[fields]='go test -v -count=1 -timeout 55m ./test/language -run TestWholeWritesEveryField'
part[mutants]='go test -v -count=1 -timeout 55m ./test/language -run MutantsAreReported'
for i in 1 2 3 4; do
	part[traces-$i]="env MESHC_SOAK_PART=$i/4 go test -v -count=1 -timeout 55m ./test/language -run EveryFieldLeavesATrace"
done
part[same]='go test -v -count=1 -timeout 55m ./test/language -run SameBytes'
for i in 1 2 3 4 5 6 7 8; do
	part[session-$i]="env MESHC_SOAK_PART=$i/8 go test -v -count=1 -timeout 55m ./compiler -run TestSession"
done
for i in 1 2 3 4; do
	part[load-cached-$i]="env MESHC_SOAK_PART=$i/4 go test -v -count=1 -timeout 55m ./compiler/load -run Cached"
done
for i in 1 2; do
	part[load-edits-$i]="env MESHC_SOAK_PART=$i/2 go test -v -count=1 -timeout 55m ./compiler/load -run RandomEdits"
done
# Data races do not hide in counts: the compiler's soak counts stand in its own
# parts, and would take hours under the race detector.
part[race-compiler]='env MESHC_SOAK= go test -race -timeout 55m ./compiler/... ./schema/... ./testdata/genmesh/...'
part[race-control]='go test -race -timeout 55m ./reconciler/... ./ca/... ./cmd/...'
part[race-data]='go test -race -timeout 55m ./dataplane/...'
part[fuzz-compiler]='tools/fuzz.sh compiler schema testdata'
part[fuzz-control]='tools/fuzz.sh reconciler ca cmd'
part[fuzz-data]='tools/fuzz.sh dataplane'
order=(lab kills e2e kube envoy reach behave mutations-1 mutations-2 mutations-3 mutations-4 mutations-5 witnesses interop differential drops flat attacks language-1 language-2 language-3 language-4 fields mutants traces-1 traces-2 traces-3 traces-4 same session-1 session-2 session-3 session-4 session-5 session-6 session-7 session-8 load-cached-1 load-cached-2 load-cached-3 load-cached-4 load-edits-1 load-edits-2 race-compiler race-control race-data fuzz-compiler fuzz-control fuzz-data)

# What the parts test: everything in the commit but the documents, so that
# keeping the evidence does not make it out of date.
sources=$(git ls-tree -r HEAD | grep -vP '\t(docs/|.*\.md$)' | sha256sum | cut -c1-16)
[ -z "$(git status --porcelain --untracked-files=no -- . ':!docs' ':!*.md')" ] || sources=$sources-dirty

order+=(overlap bombs hostile csr identity vectors)

passed() { # FILE
	[ -z "$force" ] && [ "${sources%-dirty}" = "$sources" ] &&
		grep -qxF "sources   $sources" "$1" 2>/dev/null && [ "$(tail -n 1 "$1")" = passed ]
}

run() { # PART
	local out=$evidence/$1.txt begin=$SECONDS verdict=passed
	if passed "$out"; then
		echo "== $1: has passed for these sources"
		return
	fi
	echo "== $1: ${part[$1]}"
	{
		echo "part      $1"
		echo "command   MESHC_SOAK=1 ${part[$1]}"
		echo "commit    $(git rev-parse HEAD)"
		echo "sources   $sources"
		echo "begun     $(date -u +%FT%TZ)"
		echo "machine   $(uname -srm), $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(go version)"
		echo
	} >"$out"
	MESHC_SOAK=1 ${part[$1]} >>"$out" 2>&1 || verdict=FAILED
	printf '\n%d s\n%s\n' $((SECONDS - begin)) "$verdict" >>"$out"
	echo "== $1: $verdict after $((SECONDS - begin)) s, see $out"
	[ "$verdict" = passed ]
}

[ $# -gt 0 ] || set -- "${order[@]}"
names=()
for name; do
	if [ -n "${part[$name]-}" ]; then names+=("$name"); continue; fi
	before=${#names[@]}
	for of in "${order[@]}"; do
		if [[ $of == "$name"-* ]]; then names+=("$of"); fi
	done
	[ ${#names[@]} -gt "$before" ] || { echo "soak.sh: no part $name; the parts are: ${order[*]}" >&2; exit 2; }
done
set -- "${names[@]}"
failed=
for name; do
	run "$name" || failed="$failed $name"
done
[ -z "$failed" ] || { echo "FAILED:$failed" >&2; exit 1; }
