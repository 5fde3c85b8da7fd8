package diag_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	cuejson "cuelang.org/go/encoding/json"
	"cuelang.org/go/encoding/jsonschema"

	"github.com/meshc/meshc/compiler/diag"
)

// sarifSchema is the schema of OASIS, as published with SARIF 2.1.0.
func sarifSchema(t *testing.T) cue.Value {
	t.Helper()
	data, err := os.ReadFile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	ctx := cuecontext.New()
	expr, err := cuejson.Extract("sarif-schema-2.1.0.json", data)
	if err != nil {
		t.Fatal(err)
	}
	file, err := jsonschema.Extract(ctx.BuildExpr(expr), &jsonschema.Config{})
	if err != nil {
		t.Fatal(err)
	}
	v := ctx.BuildFile(file)
	if err := v.Err(); err != nil {
		t.Fatal(err)
	}
	return v
}

func validSARIF(schema cue.Value, log []byte) error {
	expr, err := cuejson.Extract("log.json", log)
	if err != nil {
		return err
	}
	return schema.Unify(cuecontext.New().BuildExpr(expr)).Validate(cue.Concrete(true))
}

func everything() diag.Report {
	at := diag.Range{File: "a b/ü%.cue", Start: diag.Pos{Line: 2, Col: 3}, End: diag.Pos{Line: 2, Col: 5}}
	full := diag.New(diag.UnknownField, at, "unknown field %q", "x\x1b[31m\u202e@team")
	full.Why, full.Help, full.Witness = "why", "help", "GET /"
	full.Related = []diag.Related{{Range: at, Message: "here too"}, {Message: "nowhere"}}
	full.WithFix("write y", diag.Edit{Range: at, New: "y"}, diag.Edit{Range: diag.Range{File: "b.cue", Start: at.End, End: at.End}, New: "z"}, diag.Edit{Range: at})
	backwards := diag.New(diag.NotCovered, diag.Range{File: "x:y.cue", Start: diag.Pos{Line: 4, Col: 2}, End: diag.Pos{Line: 3, Col: 1}}, "info")
	return diag.Report{
		Version:     "1.0.0",
		Diagnostics: diag.List{full, diag.New(diag.NotAModule, diag.Range{}, "no place"), diag.New(diag.InputRefused, diag.Range{File: "c.cue"}, "a file"), backwards},
		Suppressed:  []diag.Suppressed{{Diagnostic: diag.New(diag.ShadowedRoute, at, "hidden"), By: diag.Suppression{Code: diag.ShadowedRoute, Reason: "legacy", Scope: at, At: at}}},
	}
}

func TestSARIFIsValid(t *testing.T) {
	schema := sarifSchema(t)
	if validSARIF(schema, []byte(`{"version": "2.1.0", "runs": [{"tool": {}}]}`)) == nil ||
		validSARIF(schema, []byte(`{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{"message": {"text": "x"}, "level": "fatal"}]}]}`)) == nil {
		t.Fatal("the schema takes anything")
	}
	for name, r := range map[string]diag.Report{"nothing": {}, "everything": everything()} {
		var b bytes.Buffer
		if err := (diag.Printer{}).SARIF(&b, r); err != nil {
			t.Fatal(err)
		}
		if err := validSARIF(schema, b.Bytes()); err != nil {
			t.Errorf("%s: %v\n%s", name, err, b.Bytes())
		}
	}
	var all diag.Report
	for _, e := range diag.Registry() {
		all.Diagnostics.Add(diag.New(e.Code, diag.Range{File: "a.cue"}, "x"))
	}
	var b bytes.Buffer
	if err := (diag.Printer{}).SARIF(&b, all); err != nil {
		t.Fatal(err)
	}
	if err := validSARIF(schema, b.Bytes()); err != nil {
		t.Errorf("with every rule: %v", err)
	}
}

// TestSARIFPlaces reads the log back as a consumer does: URIs are encoded,
// columns are code points, levels are SARIF's words.
func TestSARIFPlaces(t *testing.T) {
	p := diag.Printer{Source: func(string) []byte { return []byte("one\nüüx: 1\n") }}
	l := diag.List{diag.New(diag.NotCovered, diag.Range{File: "x:y/ä b.cue", Start: diag.Pos{Line: 2, Col: 5}, End: diag.Pos{Line: 2, Col: 6}}, "m")}
	var b bytes.Buffer
	if err := p.SARIF(&b, diag.Report{Diagnostics: l}); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Runs []struct {
			ColumnKind string
			Results    []struct {
				Level     string
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn, EndLine, EndColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	res := log.Runs[0].Results[0]
	at := res.Locations[0].PhysicalLocation
	if res.Level != "note" || log.Runs[0].ColumnKind != "unicodeCodePoints" {
		t.Errorf("level %q, columns in %q", res.Level, log.Runs[0].ColumnKind)
	}
	if want := "./x:y/%C3%A4%20b.cue"; at.ArtifactLocation.URI != want {
		t.Errorf("uri %q, want %q", at.ArtifactLocation.URI, want)
	}
	if at.Region.StartLine != 2 || at.Region.StartColumn != 3 || at.Region.EndColumn != 4 {
		t.Errorf("%+v", at.Region)
	}
}
