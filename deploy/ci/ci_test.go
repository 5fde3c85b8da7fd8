// Package ci_test runs what the GitHub Action and the GitLab template run: the
// real commands in bash, against a forge on loopback.
package ci_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// meshc builds the command once; tools that are missing skip loudly, and fail in
// CI.
var meshc = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "meshc-ci-"); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "meshc"), "../../cmd/meshc").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build meshc: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := meshc(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

// forge is the part of an API that the script uses.
type forge struct {
	mu       sync.Mutex
	comments []comment
	labels   []string
	requests []string
	refuse   bool // whatever writes
}

type comment struct {
	ID   int    `json:"id"`
	Body string `json:"body"`
}

func (f *forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r.Method+" "+r.URL.EscapedPath())
	if r.Header.Get("Authorization") != "Bearer s3cret" && r.Header.Get("PRIVATE-TOKEN") != "s3cret" {
		http.Error(w, "who?", http.StatusUnauthorized)
		return
	}
	if f.refuse && r.Method != http.MethodGet {
		http.Error(w, "read only", http.StatusForbidden)
		return
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	path := regexp.MustCompile(`^(/repos/shop/platform/issues|/projects/shop%2Fplatform/merge_requests)`).ReplaceAllString(r.URL.EscapedPath(), "")
	switch {
	case r.Method == http.MethodGet && (path == "/7/comments" || path == "/7/notes"):
		f.page(w, r)
	case r.Method == http.MethodPost && (path == "/7/comments" || path == "/7/notes"):
		f.comments = append(f.comments, comment{1000 + len(f.comments), bodyOf(raw)})
	case (r.Method == http.MethodPatch && strings.HasPrefix(path, "/comments/")) || r.Method == http.MethodPut && strings.HasPrefix(path, "/7/notes/"):
		id, _ := strconv.Atoi(path[strings.LastIndex(path, "/")+1:])
		i := slices.IndexFunc(f.comments, func(c comment) bool { return c.ID == id })
		f.comments[i].Body = bodyOf(raw)
	case path == "/7/labels" || strings.HasPrefix(path, "/7/labels/") || path == "/7":
		f.label(w, r, path, raw)
	default:
		http.NotFound(w, r)
	}
}

func (f *forge) page(w http.ResponseWriter, r *http.Request) {
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	from := min((page-1)*100, len(f.comments))
	list := append([]comment{}, f.comments[from:min(from+100, len(f.comments))]...)
	_ = json.NewEncoder(w).Encode(list)
}

func bodyOf(raw []byte) string {
	var c comment
	_ = json.Unmarshal(raw, &c)
	return c.Body
}

func (f *forge) label(w http.ResponseWriter, r *http.Request, path string, raw []byte) {
	var asked struct {
		Labels []string
		Add    string `json:"add_labels"`
		Remove string `json:"remove_labels"`
	}
	_ = json.Unmarshal(raw, &asked)
	switch r.Method {
	case http.MethodGet:
		if path == "/7" {
			_ = json.NewEncoder(w).Encode(map[string]any{"labels": f.labels})
			return
		}
		list := []map[string]string{}
		for _, l := range f.labels {
			list = append(list, map[string]string{"name": l})
		}
		_ = json.NewEncoder(w).Encode(list)
	case http.MethodPost:
		f.labels = append(f.labels, asked.Labels...)
	case http.MethodPut:
		f.labels = slices.DeleteFunc(f.labels, func(l string) bool { return slices.Contains(strings.Split(asked.Remove, ","), l) })
		f.labels = append(f.labels, strings.Split(asked.Add, ",")...)
	case http.MethodDelete:
		gone := strings.ReplaceAll(strings.TrimPrefix(path, "/7/labels/"), "%2F", "/")
		f.labels = slices.DeleteFunc(f.labels, func(l string) bool { return l == gone })
	}
	slices.Sort(f.labels)
	f.labels = slices.Compact(f.labels)
}

// pull is a pull request in a repository, with its forge.
type pull struct {
	t     *testing.T
	repo  string
	forge *forge
	env   []string
}

const files = `-- cue.mod/module.cue --
module: "shop.example/mesh"
language: version: "v0.17.0"
-- mesh.cue --
package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals
`

const reviews = `package mesh

service: {
	page: {
		ports: http: {number: 80, protocol: "http"}
		versions: v1: {}
		uses: reviews: {}
	}
	reviews: {
		ports: http: {number: 80, protocol: "http"}
		versions: {v1: {}, v2: {}}
		security: allow: [{from: ["page"], methods: ["GET"]}]
		routes: all: to: v1: 100
	}
}
`

func newPull(t *testing.T) *pull {
	t.Helper()
	for _, tool := range []string{"bash", "git", "jq", "curl", "awk"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed, and CI needs it", tool)
			}
			t.Skipf("SKIPPED: %s is not installed", tool)
		}
	}
	dir, err := meshc()
	if err != nil {
		t.Fatal(err)
	}
	p := &pull{t: t, repo: t.TempDir(), forge: &forge{labels: []string{"help wanted", "meshc/fault", "meshc/risk-low"}}}
	api := httptest.NewServer(p.forge)
	t.Cleanup(api.Close)
	p.env = append(os.Environ(),
		"PATH="+dir+":"+os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"MESHC_DIR=mesh", "MESHC_BASE=HEAD", "MESHC_OUT="+filepath.Join(t.TempDir(), "out"), "MESHC_CACHE="+filepath.Join(t.TempDir(), "cache"),
		"MESHC_API="+api.URL, "MESHC_TOKEN=s3cret", "MESHC_PROJECT=shop/platform", "MESHC_CHANGE=7",
		"GITHUB_STEP_SUMMARY="+filepath.Join(p.repo, "summary.md"), "no_proxy=127.0.0.1")
	for _, part := range strings.Split(files, "-- ")[1:] {
		name, text, _ := strings.Cut(part, " --\n")
		p.write(filepath.Join("mesh", name), text)
	}
	p.write("mesh/reviews.cue", reviews)
	p.git("init", "-q", "-b", "main")
	p.git("add", "-A")
	p.git("-c", "user.name=a", "-c", "user.email=a@mesh.example", "commit", "-q", "-m", "base")
	return p
}

func (p *pull) write(name, text string) {
	p.t.Helper()
	file := filepath.Join(p.repo, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pull) git(args ...string) {
	p.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = p.repo, p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// run gives what a verb prints, and its exit status.
func (p *pull) run(verb string) (out string, status int) {
	p.t.Helper()
	script, err := filepath.Abs("meshc-ci.sh")
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command("bash", script, verb)
	cmd.Dir, cmd.Env = p.repo, p.env
	raw, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return string(raw), cmd.ProcessState.ExitCode()
}

// all runs every verb as the action does.
func (p *pull) all() (printed map[string]string, verdict int) {
	p.t.Helper()
	printed = map[string]string{}
	for _, verb := range []string{"vet", "test", "diff", "summary", "comment", "labels"} {
		out, status := p.run(verb)
		if printed[verb] = out; status != 0 {
			p.t.Fatalf("%s: exit status %d\n%s", verb, status, out)
		}
	}
	_, verdict = p.run("verdict")
	return printed, verdict
}

func TestPullRequest(t *testing.T) {
	for _, kind := range []string{"github", "gitlab"} {
		t.Run(kind, func(t *testing.T) {
			p := newPull(t)
			p.env = append(p.env, "MESHC_FORGE="+kind)
			for i := range 130 {
				p.forge.comments = append(p.forge.comments, comment{i, "talk"})
			}
			changed := strings.NewReplacer(`"GET"]`, `"GET", "POST"]`, "all: to: v1: 100", "all: to: {v1: 90, v2: 10}").Replace(reviews)
			p.write("mesh/reviews.cue", changed)
			printed, verdict := p.all()
			if verdict != 0 {
				t.Errorf("verdict %d\n%v", verdict, printed)
			}
			if kind == "github" && !strings.Contains(printed["diff"], "::notice file=mesh/reviews.cue,line=") {
				t.Errorf("no annotation: %s", printed["diff"])
			}
			last := p.forge.comments[len(p.forge.comments)-1].Body
			for _, want := range []string{"<!-- meshc:diff:mesh -->\n### meshc diff: 🔴 high risk · EXPOSE + SHIFT · default/reviews\n", "Compiled at `", "**EXPOSE**", "**SHIFT**", "Nothing else changes", "meshc diff --dir mesh git:HEAD"} {
				if !strings.Contains(last, want) {
					t.Errorf("no %q in the comment:\n%s", want, last)
				}
			}
			if want := []string{"help wanted", "meshc/expose", "meshc/risk-high", "meshc/shift"}; !slices.Equal(p.forge.labels, want) {
				t.Errorf("labels %q", p.forge.labels)
			}

			// The change is taken back: the same comment says so.
			p.write("mesh/reviews.cue", reviews)
			p.all()
			if n := len(p.forge.comments); n != 131 || !strings.Contains(p.forge.comments[130].Body, "no request is treated differently") {
				t.Errorf("%d comments, the last: %s", n, p.forge.comments[n-1].Body)
			}
			if want := []string{"help wanted", "meshc/risk-none"}; !slices.Equal(p.forge.labels, want) {
				t.Errorf("labels %q", p.forge.labels)
			}
			summary, err := os.ReadFile(filepath.Join(p.repo, "summary.md"))
			if err != nil || !strings.Contains(string(summary), "### meshc diff: 🔴 high risk · EXPOSE") {
				t.Errorf("%v %s", err, summary)
			}
		})
	}
}

// TestBudgets: a step annotates ten lines of a type, however many there are.
func TestBudgets(t *testing.T) {
	p := newPull(t)
	text := "package mesh\n\nservice: {\n"
	for i := range 25 {
		text += fmt.Sprintf("\ts%d: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}, routes: all: to: v9: 100}\n", i)
	}
	p.write("mesh/reviews.cue", text+"}\n")
	printed, verdict := p.all()
	if n := strings.Count(printed["vet"], "::error "); n != 10 || !strings.Contains(printed["vet"], "15 more of type error") {
		t.Errorf("%d annotations\n%s", n, printed["vet"])
	}
	if verdict != 1 {
		t.Errorf("verdict %d", verdict)
	}
	last := p.forge.comments[len(p.forge.comments)-1].Body
	for _, want := range []string{"**meshc vet: 25 errors**", "error[MSH", "--> mesh/reviews.cue:4:", "could not tell"} {
		if !strings.Contains(last, want) {
			t.Errorf("no %q in the comment: %s", want, last)
		}
	}
	if !slices.Contains(p.forge.labels, "meshc/unknown") || slices.Contains(p.forge.labels, "meshc/risk-low") {
		t.Errorf("labels %q", p.forge.labels)
	}
}

// TestExpectationsAnnotate: a failed expectation is shown at its line.
func TestExpectationsAnnotate(t *testing.T) {
	p := newPull(t)
	p.write("mesh/reviews.cue", strings.Replace(reviews, "routes: all: to: v1: 100",
		"routes: all: to: v1: 100\n\t\texpect: mine: {every: [{method: \"GET\"}], to: v2: 100}", 1))
	printed, verdict := p.all()
	if verdict != 1 || !strings.Contains(printed["test"], "::error file=mesh/reviews.cue,line=14") {
		t.Errorf("verdict %d\n%s", verdict, printed["test"])
	}
}

// TestNoMesh: a directory that is not there ends in a comment and a verdict.
func TestNoMesh(t *testing.T) {
	p := newPull(t)
	p.env = append(p.env, "MESHC_DIR=nowhere")
	printed, verdict := p.all()
	if n := len(p.forge.comments); verdict != 1 || n != 1 || !strings.Contains(p.forge.comments[0].Body, "**meshc vet could not tell**") || !strings.Contains(p.forge.comments[0].Body, "nowhere") {
		t.Errorf("verdict %d, %d comments %v\n%v", verdict, n, p.forge.comments, printed)
	}
}

// TestJobBudget: all steps of a job together stay below what GitHub shows of one.
func TestJobBudget(t *testing.T) {
	p := newPull(t)
	var lines strings.Builder
	for _, kind := range []string{"notice", "warning", "error"} {
		for i := range 12 {
			fmt.Fprintf(&lines, "::%s file=mesh/reviews.cue,line=%d::what\n", kind, i+1)
		}
	}
	fake := t.TempDir()
	// Of `test` the annotations go to a file; the others print them, and diff needs its JSON.
	script := "#!/bin/sh\nfor a; do case $a in github=*) exec >\"${a#github=}\" ;; json=*) echo '{}' >\"${a#json=}\" ;; esac; done\ncat <<'END'\n" + lines.String() + "END\n"
	if err := os.WriteFile(filepath.Join(fake, "meshc"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "PATH="+fake+":"+os.Getenv("PATH"))
	shown := 0
	for _, verb := range []string{"vet", "test", "diff"} {
		out, _ := p.run(verb)
		shown += strings.Count(out, "::error ") + strings.Count(out, "::warning ") + strings.Count(out, "::notice ")
		if !strings.Contains(out, "more of type error") || !strings.Contains(out, "12 more of type notice") || strings.Count(out, "::notice ") != 1 {
			t.Errorf("%s: %s", verb, out)
		}
	}
	if shown != 50 {
		t.Errorf("%d annotations", shown)
	}
}

// TestReadOnlyToken: a pull request of a fork may not comment, which is no
// failure of the mesh.
func TestReadOnlyToken(t *testing.T) {
	p := newPull(t)
	p.forge.refuse = true
	p.write("mesh/reviews.cue", strings.Replace(reviews, "v1: 100", "v2: 100", 1))
	printed, verdict := p.all()
	if verdict != 0 || !strings.Contains(printed["comment"], "may not write") || !strings.Contains(printed["labels"], "may not write") {
		t.Errorf("verdict %d, %v", verdict, printed)
	}
	p.env = append(p.env, "MESHC_TOKEN=")
	asked := len(p.forge.requests)
	if _, verdict := p.all(); verdict != 0 || len(p.forge.requests) != asked {
		t.Errorf("verdict %d, asked %v", verdict, p.forge.requests[asked:])
	}
}

// TestNewBranch: the first push of a branch has nothing before it, which is no
// failure; a base that is not there is one.
func TestNewBranch(t *testing.T) {
	p := newPull(t)
	p.env = append(p.env, "MESHC_CHANGE=", "MESHC_BASE="+strings.Repeat("0", 40))
	if printed, verdict := p.all(); verdict != 0 || !strings.Contains(printed["diff"], "nothing to compare with") {
		t.Errorf("verdict %d, %v", verdict, printed)
	}
	p.env = append(p.env, "MESHC_BASE="+strings.Repeat("0", 39)+"1")
	if _, verdict := p.all(); verdict == 0 {
		t.Error("a base that is not there is no failure")
	}
}

// TestLargeDifference: a comment stays below what a forge takes.
func TestLargeDifference(t *testing.T) {
	p := newPull(t)
	mesh := func(path string) string {
		text := "package mesh\n\nservice: {\n"
		for i := range 120 {
			text += fmt.Sprintf("\ts%d: {ports: http: {number: 80, protocol: \"http\"}, versions: {v1: {}, v2: {}}, security: allow: [{from: [\"*\"]}], routes: {", i)
			for j := range 4 {
				text += fmt.Sprintf("r%d: {match: [{path: prefix: \"/%s/%d/%s/\"}], to: v1: 100}, ", j, path, j, strings.Repeat("long|", 30))
			}
			text += "all: to: v2: 100}}\n"
		}
		return text + "}\n"
	}
	p.write("mesh/reviews.cue", mesh("a"))
	p.git("add", "-A")
	p.git("-c", "user.name=a", "-c", "user.email=a@mesh.example", "commit", "-q", "-m", "many")
	p.write("mesh/reviews.cue", mesh("b"))
	for _, verb := range []string{"vet", "diff", "comment"} {
		if out, status := p.run(verb); status != 0 {
			t.Fatalf("%s: %d %s", verb, status, out)
		}
	}
	body := p.forge.comments[0].Body
	if len(body) > 60_000 || len(body) < 20_000 || !strings.HasPrefix(body, "<!-- meshc:diff:mesh -->") || !strings.Contains(body, "Nothing else changes") {
		t.Errorf("%d bytes: %.300s", len(body), body)
	}
}

// TestOncePerStep: a step asks meshc once, for all of its formats, and the second run
// finds all that the first one has made in the cache: no entry is new, and none is
// written again.
func TestOncePerStep(t *testing.T) {
	p := newPull(t)
	bin, err := meshc()
	if err != nil {
		t.Fatal(err)
	}
	wrapper, calls, kept := t.TempDir(), filepath.Join(t.TempDir(), "calls"), t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho \"$1\" >>%q\nexec %q \"$@\"\n", calls, filepath.Join(bin, "meshc"))
	if err := os.WriteFile(filepath.Join(wrapper, "meshc"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "PATH="+wrapper+":"+os.Getenv("PATH"), "MESHC_CACHE="+kept)
	p.write("mesh/reviews.cue", strings.Replace(reviews, "all: to: v1: 100", "all: to: {v1: 90, v2: 10}", 1))
	p.all()
	asked, err := os.ReadFile(calls)
	if err != nil || string(asked) != "vet\ntest\ndiff\n" {
		t.Errorf("asked %q, %v", asked, err)
	}
	first := entries(t, kept)
	if len(first) == 0 {
		t.Fatal("nothing is kept")
	}
	p.all()
	for name, now := range entries(t, kept) {
		if was, ok := first[name]; !ok || !os.SameFile(was, now) {
			t.Errorf("%s is made again", name)
		}
	}
}

// entries of a cache, each with what tells it from one that takes its place.
func entries(t *testing.T, dir string) map[string]os.FileInfo {
	t.Helper()
	out := map[string]os.FileInfo{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		out[name], err = d.Info()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
