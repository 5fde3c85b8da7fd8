#!/usr/bin/env bash
# What the GitHub Action and the GitLab template of meshc run, one verb a step.
# It needs meshc, git, jq and curl, no cluster, and no credentials beside the
# token of the pull request, which only `comment` and `labels` use.
#
#   meshc-ci.sh vet      problems of the mesh: annotations and vet.sarif
#   meshc-ci.sh test     the expectations of the mesh: annotations
#   meshc-ci.sh diff     what the change does to requests: annotations, diff.json,
#                        diff.md, diff.sarif
#   meshc-ci.sh comment  one comment on the pull request, edited in place
#   meshc-ci.sh labels   its labels by class and risk
#   meshc-ci.sh summary  the page of the run
#   meshc-ci.sh verdict  fails when vet, test or diff could not say "yes"
#
# Environment:
#   MESHC_DIR     the mesh directory (.)
#   MESHC_BASE    the revision to compare with (diff, comment)
#   MESHC_OUT     where results are kept between steps (.meshc-ci)
#   MESHC_CACHE   what compiles make, kept between runs (none)
#   MESHC_FORGE   github or gitlab (github)
#   MESHC_TOKEN   token for comment and labels; without one they are left out
#   MESHC_API     address of the API (that of the forge)
#   MESHC_PROJECT owner/name, or the number of a GitLab project
#   MESHC_CHANGE  number of the pull or merge request
set -euo pipefail

dir=${MESHC_DIR:-.}
out=${MESHC_OUT:-.meshc-ci}
forge=${MESHC_FORGE:-github}
cache=()
[ -z "${MESHC_CACHE:-}" ] || cache=(--cache "$MESHC_CACHE")

# Bounds of the forges: GitHub shows 10 annotations of a type and step and 50 of a
# job, and takes 65,536 characters in a comment. share is what a step may have of
# the 50.
readonly annotations=10 comment_bytes=57000
declare -Ar share=([vet]=20 [test]=10 [diff]=20)

note() { printf 'meshc-ci: %s\n' "$*" >&2; }

# Keeps the exit status of a verb, and goes on: 0 yes, 1 no, 2 could not tell.
keep() {
	local verb=$1 status=0
	shift
	"$@" || status=$?
	printf '%s\n' "$status" >"$out/$verb.status"
}

# budget STEP lets through as many annotations of each type as are shown, errors
# first, and no more than the step's share. Its last one says how many there are
# beside.
budget() {
	awk -v most="$annotations" -v share="${share[$1]}" '
		match($0, /^::(error|warning|notice) /) {
			type = substr($0, 3, RLENGTH - 3)
			line[type, ++seen[type]] = $0
			next
		}
		{ print }
		END {
			split("error warning notice", order, " ")
			for (i = 1; i <= 3; i++) {
				type = order[i]
				for (n = 1; n <= seen[type]; n++) {
					if (n <= most - (type == "notice") && shown < share - 1) {
						print line[type, n]
						shown++
					} else more[type]++
				}
				if (more[type]) left = left (left ? ", " : "") more[type] " more of type " type
			}
			if (left) print "::notice title=meshc::" left ": see the summary"
		}'
}

# The lines of annotations are for GitHub; elsewhere the text is.
format() { if [ "$forge" = github ]; then printf github; else printf text; fi; }

vet() {
	rm -f "$out"/vet.*
	keep vet meshc vet "${cache[@]}" -o "$(format)" --also "json=$out/vet.json" --also "sarif=$out/vet.sarif" --also "markdown=$out/vet.md" \
		"$dir" >"$out/vet.txt" 2>"$out/vet.err"
	budget vet <"$out/vet.txt"
	cat "$out/vet.err" >&2
}

run_tests() {
	local also=()
	rm -f "$out"/test.*
	if [ "$forge" = github ]; then also=(--also "github=$out/test.github"); fi
	keep test meshc test "${cache[@]}" -o text "${also[@]}" "$dir" >"$out/test.txt"
	if [ -s "$out/test.github" ]; then budget test <"$out/test.github"; fi
	cat "$out/test.txt"
}

compare() {
	: "${MESHC_BASE:?say the revision to compare with}"
	rm -f "$out"/diff.*
	if [[ $MESHC_BASE =~ ^0+$ ]]; then # what forges say of the first push of a branch
		note "a new branch: there is nothing to compare with"
		return
	fi
	# 1 says that a policy is violated, 2 that something is not known; what is known
	# is shown all the same.
	keep diff meshc diff --dir "$dir" --exit-code=false "${cache[@]}" -o "$(format)" --max-bytes "$comment_bytes" \
		--also "json=$out/diff.json" --also "markdown=$out/diff.md" --also "sarif=$out/diff.sarif" "git:$MESHC_BASE" >"$out/diff.txt"
	if [ ! -s "$out/diff.json" ]; then
		note "no difference could be made"
		return
	fi
	budget diff <"$out/diff.txt"
}

# marker finds the comment of this mesh again.
marker() { printf '<!-- meshc:diff:%s -->' "${dir//[^A-Za-z0-9._\/-]/_}"; }

# refused says what vet found: how many, and the first error.
refused() {
	case $(cat "$out/vet.status" 2>/dev/null) in '' | 0) return ;; esac
	if ! [ -s "$out/vet.json" ] || ! jq -r --arg dir "${dir%/}/" '
		def many($n; $what): "\($n) \($what)\(if $n == 1 then "" else "s" end)";
		def code: .[:800] | gsub("```"; "` ` `");
		"**meshc vet: \(many(.errors; "error"))\(if .warnings > 0 then ", " + many(.warnings; "warning") else "" end)**\n",
		(first(.diagnostics[] | select(.severity == "error"))
			| "```text\nerror[\(.code)]: \(.message | code)\n  --> \(if $dir == "./" then "" else $dir end | code)\(.range.file | code):\(.range.start.line):\(.range.start.col)"
				+ (if .why then "\n  = \(.why | code)" else "" end) + "\n```\n")' "$out/vet.json" 2>/dev/null; then
		printf '**meshc vet could not tell**\n\n```text\n'
		head -c 2000 "$out/vet.err" | sed 's/```/` ` `/g'
		printf '\n```\n\n'
	fi
}

body() {
	marker
	printf '\n'
	refused
	if [ -s "$out/diff.md" ]; then
		cat "$out/diff.md"
	else
		printf '### meshc diff: could not tell\n\nOne of both trees does not compile.\n'
	fi
	printf '\nCompiled at `%.12s` against `%.12s` · `meshc diff --dir %s git:%.12s`\n' \
		"$(git rev-parse HEAD)" "$(git rev-parse --verify --quiet "${MESHC_BASE:-HEAD}^{commit}" || printf 'what is not here')" "${dir//\`/}" "${MESHC_BASE:-}"
}

# call METHOD PATH [FILE] asks the API, which answers on stdout. The token is not
# among the arguments, which other processes can read.
call() {
	local method=$1 path=$2 header
	shift 2
	if [ "$forge" = github ]; then header="Authorization: Bearer $MESHC_TOKEN"; else header="PRIVATE-TOKEN: $MESHC_TOKEN"; fi
	curl --silent --show-error --fail --max-time 30 --retry 2 --request "$method" --header @<(printf '%s\n' "$header") \
		--header 'Content-Type: application/json' ${1:+--data-binary "@$1"} "$api$path"
}

# target of the API, or nothing to do.
reachable() {
	if [ -z "${MESHC_TOKEN:-}" ] || [ -z "${MESHC_CHANGE:-}" ]; then
		note "no token or no pull request: $1 is left out"
		return 1
	fi
	: "${MESHC_PROJECT:?say the project}"
	if [ "$forge" = github ]; then
		api=${MESHC_API:-https://api.github.com}
		comments="/repos/$MESHC_PROJECT/issues/$MESHC_CHANGE/comments"
	else
		api=${MESHC_API:-https://gitlab.com/api/v4}
		comments="/projects/${MESHC_PROJECT//\//%2F}/merge_requests/$MESHC_CHANGE/notes"
	fi
}

# sticky gives the number of the comment with the marker.
sticky() {
	local page count
	for ((page = 1; page <= 30; page++)); do
		call GET "$comments?per_page=100&page=$page" >"$out/comments.json"
		jq -r --arg marker "$(marker)" 'map(select(.body | startswith($marker))) | first | .id // empty' "$out/comments.json" >"$out/comment.id"
		count=$(jq length "$out/comments.json")
		if [ -s "$out/comment.id" ] || [ "$count" -lt 100 ]; then break; fi
	done
	cat "$out/comment.id"
}

comment() {
	reachable comment || return 0
	body >"$out/body.md"
	jq -Rs '{body: .}' <"$out/body.md" >"$out/body.json"
	local id edit=PATCH where
	if ! id=$(sticky); then
		note "the comments cannot be read: no comment"
		return 0
	fi
	if [ -z "$id" ]; then
		call POST "$comments" "$out/body.json" >/dev/null || note "no comment: the token may not write"
		return 0
	fi
	where="$comments/$id"
	if [ "$forge" = github ]; then where="/repos/$MESHC_PROJECT/issues/comments/$id"; else edit=PUT; fi
	call "$edit" "$where" "$out/body.json" >/dev/null || note "the comment is not edited: the token may not write"
}

# wanted lists the labels of the difference, one a line.
wanted() {
	if [ ! -s "$out/diff.json" ]; then
		echo meshc/unknown
		return
	fi
	jq -r '
		(.classes[] | "meshc/" + ascii_downcase),
		"meshc/risk-" + .risk,
		(if .known then empty else "meshc/unknown" end)' "$out/diff.json"
}

labels() {
	reachable labels || return 0
	wanted | sort -u >"$out/labels"
	if [ "$forge" = gitlab ]; then
		labels_gitlab || note "no labels: the token may not write"
		return 0
	fi
	local issue="/repos/$MESHC_PROJECT/issues/$MESHC_CHANGE/labels" name
	if ! call GET "$issue?per_page=100" >"$out/labels.json"; then
		note "the labels cannot be read: no labels"
		return 0
	fi
	jq -r '.[].name | select(startswith("meshc/"))' "$out/labels.json" | sort -u >"$out/labels.now"
	while IFS= read -r name; do
		call DELETE "$issue/$(jq -rn --arg n "$name" '$n | @uri')" >/dev/null || note "label $name stays: the token may not write"
	done < <(comm -13 "$out/labels" "$out/labels.now")
	if [ -n "$(comm -23 "$out/labels" "$out/labels.now")" ]; then
		jq -Rn '{labels: [inputs]}' <"$out/labels" >"$out/labels.new"
		call POST "$issue" "$out/labels.new" >/dev/null || note "no labels: the token may not write"
	fi
}

labels_gitlab() {
	local change="/projects/${MESHC_PROJECT//\//%2F}/merge_requests/$MESHC_CHANGE"
	call GET "$change" >"$out/change.json"
	jq -n --rawfile want "$out/labels" --slurpfile now "$out/change.json" '
		($want | split("\n") | map(select(. != ""))) as $want
		| {add_labels: ($want | join(",")),
		   remove_labels: ([$now[0].labels[] | select(startswith("meshc/"))] - $want | join(","))}' >"$out/labels.new"
	call PUT "$change" "$out/labels.new" >/dev/null
}

summary() {
	local page=${GITHUB_STEP_SUMMARY:-/dev/stdout}
	{
		if [ -s "$out/diff.md" ]; then cat "$out/diff.md"; fi
		if [ -s "$out/vet.md" ]; then printf '\n' && head -c 500000 "$out/vet.md"; fi
		if [ -s "$out/test.txt" ]; then printf '\n```\n' && head -c 100000 "$out/test.txt" | sed 's/```/` ` `/g' && printf '\n```\n'; fi
	} >>"$page"
}

# A difference is no failure: it is for people to look at. That it is not known is
# one, as is a mesh that does not vet or meet its expectations.
verdict() {
	local verb status bad=0
	for verb in vet test diff; do
		status=$(cat "$out/$verb.status" 2>/dev/null || echo 0)
		if [ "$status" != 0 ]; then
			note "$verb: exit status $status"
			bad=1
		fi
	done
	return "$bad"
}

mkdir -p "$out"
case ${1:-} in
vet | comment | labels | summary | verdict) "$1" ;;
test) run_tests ;;
diff) compare ;;
*)
	note "usage: meshc-ci.sh vet|test|diff|comment|labels|summary|verdict"
	exit 2
	;;
esac
