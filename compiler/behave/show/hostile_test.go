package show_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/behave/show"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// hostile texts would break tables, end blocks, run scripts, call people, link
// elsewhere, end workflow commands or steer terminals, were they not escaped.
var hostile = []string{
	"a|b||c", "`code` ``` ```` ", "</details><script>alert(1)</script><img src=x onerror=alert(1)>", "&lt;b&gt;",
	"[click](https://evil.example) ![x](https://evil.example/x.png) <https://evil.example> www.evil.example https://evil.example",
	"@everyone #1 $x$ ~~gone~~ **bold** __bold__", "\\", "a\\|b", "one\n::error file=x::two\r\n::set-output name=x::y", "%0A::error::x %25",
	"\x1b[31mred\x1b[0m", "\u202ereversed", "\x00\x7f\xff", "| --- |", "<!-- meshc:diff:. -->", "```\n</details>\n| a | b |",
}

// hostileReport has one in the value of a header of every match and answer.
func hostileReport(t *testing.T, text string) *behave.Report {
	t.Helper()
	service := func(status uint32) *model.Service {
		return &model.Service{
			Ref: model.Ref{Namespace: "default", Name: "a"}, Host: "a.default.svc.cluster.local", MTLS: model.MTLSDisable,
			Ports: []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}}, Allow: []model.Rule{{Any: true}},
			Routes: []*model.Route{{
				Name: "one", Ports: []uint16{80}, Match: []model.Match{{Headers: []model.NamedMatch{{Name: "x", Kind: model.Exact, Value: text}, {Name: "y", Kind: model.Exact, Value: "1", Not: true}}}},
				Respond: &model.Respond{Status: status, Body: text, ContentType: text}, Origin: diag.Range{File: "a.cue", Start: diag.Pos{Line: 1, Col: 1}, End: diag.Pos{Line: 1, Col: 2}},
			}},
		}
	}
	mesh := func(status uint32) *model.Mesh {
		return &model.Mesh{TrustDomain: "td", Services: []*model.Service{service(status)}}
	}
	r := behave.Meshes(mesh(200), mesh(404))
	if r.Equal() { // no request has such a value: what is said of the service is hostile all the same
		r.Objects = []behave.Object{{Name: behave.Name{Kind: behave.ServiceKind, Ref: model.Ref{Namespace: "default", Name: text}}}}
	}
	r.Objects[0].Unknown = append(r.Objects[0].Unknown, text)
	return r
}

var (
	raw  = regexp.MustCompile(`(^|[^\\])(<[A-Za-z/!]|&[a-z]+;|@[a-z]|#[0-9]|https?:|\]\(|\*\*bold)`)
	pipe = regexp.MustCompile(`(\\.)|(\|)`)
)

func TestHostileTextInMarkdown(t *testing.T) {
	for _, text := range hostile {
		var out strings.Builder
		r := hostileReport(t, text)
		violations := diag.List{{Code: "MSH2175", Severity: diag.Error, Message: text, Witness: text}}
		if _, err := show.Violations(&out, violations, 10_000); err != nil {
			t.Fatal(err)
		}
		if err := show.Markdown(&out, r, func(s string) string { return s }, 20_000); err != nil {
			t.Fatal(err)
		}
		before, folded, _ := strings.Cut(out.String(), "<details>")
		if m := raw.FindString(strings.ReplaceAll(before, "<br>", "")); m != "" {
			t.Errorf("%q: %q is not escaped in\n%s", text, m, before)
		}
		for line := range strings.Lines(before) {
			bars := 0
			for _, m := range pipe.FindAllStringSubmatch(line, -1) {
				if m[2] != "" {
					bars++
				}
			}
			if bars != 0 && bars != 6 {
				t.Errorf("%q: a row has %d bars: %s", text, bars, line)
			}
		}
		inFence(t, text, folded)
	}
}

// inFence: what is folded away is one block of code and the end of the fold.
func inFence(t *testing.T, text, folded string) {
	t.Helper()
	lines := strings.Split(folded, "\n")
	open := strings.TrimSuffix(lines[2], "text")
	if strings.Trim(open, "`") != "" || len(open) < 3 {
		t.Fatalf("%q: no block of code begins in %q", text, lines[2])
	}
	for i, line := range lines[3:] {
		if strings.HasPrefix(strings.TrimLeft(line, " "), open) {
			if rest := strings.Join(lines[3+i+1:], ""); rest != "</details>" {
				t.Errorf("%q: behind the block there is %q", text, rest)
			}
			return
		}
	}
	t.Errorf("%q: the block does not end", text)
}

func TestHostileTextInAnnotationsAndSARIF(t *testing.T) {
	for _, text := range hostile {
		list := show.Diagnostics(hostileReport(t, text))
		list = append(list, diag.Diagnostic{Code: "MSH2175", Severity: diag.Error, Message: text, Witness: text, Help: text, Range: diag.Range{File: text, Start: diag.Pos{Line: 1, Col: 1}}})
		var out strings.Builder
		if err := (diag.Printer{}).GitHub(&out, list); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != len(list) || strings.Contains(out.String(), "\r") {
			t.Errorf("%q: %d commands of %d diagnostics:\n%s", text, len(lines), len(list), out.String())
		}
		for _, line := range lines {
			if !regexp.MustCompile(`^::(error|warning|notice) [^:]*::`).MatchString(line) {
				t.Errorf("%q: %s", text, line)
			}
		}
		out.Reset()
		if err := (diag.Printer{}).SARIF(&out, diag.Report{Diagnostics: list}); err != nil {
			t.Fatal(err)
		}
		var log struct {
			Runs []struct {
				Results []struct{ Message struct{ Text string } }
			}
		}
		if err := json.Unmarshal([]byte(out.String()), &log); err != nil || len(log.Runs) != 1 || len(log.Runs[0].Results) != len(list) {
			t.Fatalf("%q: %v: %d runs", text, err, len(log.Runs))
		}
		if got := log.Runs[0].Results[len(list)-1].Message.Text; !strings.Contains(got, strings.ToValidUTF8(text, "\ufffd")) {
			t.Errorf("%q: SARIF says %q", text, got)
		}
	}
}
