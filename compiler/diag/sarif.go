package diag

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"unicode/utf8"
)

// Report is everything that one run has to say.
type Report struct {
	Diagnostics List
	Suppressed  []Suppressed
	// Version of the program, for SARIF; "" leaves it out.
	Version string
}

// SARIF writes a log of the format SARIF 2.1.0 (OASIS): one run, its rules
// from the registry, suppressed results marked as such, fixes as replacements.
func (p Printer) SARIF(w io.Writer, r Report) error {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "meshc", Version: r.Version, Rules: []sarifRule{}}
	index := map[Code]int{}
	add := func(d Diagnostic) *sarifResult {
		if _, ok := index[d.Code]; !ok {
			index[d.Code] = len(index)
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, ruleOf(d.Code))
		}
		run.Results = append(run.Results, p.result(d, index[d.Code]))
		return &run.Results[len(run.Results)-1]
	}
	for _, d := range r.Diagnostics {
		add(d)
	}
	for _, s := range r.Suppressed {
		location := p.location(s.By.At)
		add(s.Diagnostic).Suppressions = []sarifSuppression{{Kind: "inSource", Justification: s.By.Reason, Location: &location}}
	}
	log := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(log); err != nil {
		return fmt.Errorf("write SARIF: %w", err)
	}
	return nil
}

func ruleOf(c Code) sarifRule {
	e, _ := Lookup(c)
	rule := sarifRule{ID: string(c), ShortDescription: sarifText{Text: e.Title}, FullDescription: sarifText{Text: e.Explain}}
	rule.Help = sarifText{Text: e.Text(), Markdown: e.Markdown()}
	rule.DefaultConfiguration.Level = sarifLevel(e.Severity)
	return rule
}

// sarifLevel is the word of SARIF section 3.27.10.
func sarifLevel(s Severity) string {
	if s == Info {
		return "note"
	}
	return s.String()
}

func (p Printer) result(d Diagnostic, rule int) sarifResult {
	res := sarifResult{RuleID: string(d.Code), RuleIndex: rule, Level: sarifLevel(d.Severity)}
	res.Message.Text = annotation(d)
	if d.Range.File != "" {
		res.Locations = []sarifLocation{p.location(d.Range)}
	}
	for i, r := range d.Related {
		if r.Range.File == "" {
			continue
		}
		at := p.location(r.Range)
		at.ID, at.Message = i+1, &sarifText{Text: r.Message}
		res.RelatedLocations = append(res.RelatedLocations, at)
	}
	if d.Fix != nil && len(d.Fix.Edits) > 0 {
		res.Fixes = []sarifFix{p.sarifFix(d.Fix)}
	}
	return res
}

func (p Printer) sarifFix(f *Fix) sarifFix {
	out := sarifFix{Description: sarifText{Text: f.Title}}
	var files []string
	for _, e := range f.Edits {
		i := slices.Index(files, e.Range.File)
		if i < 0 {
			i = len(files)
			files = append(files, e.Range.File)
			out.ArtifactChanges = append(out.ArtifactChanges, sarifChange{ArtifactLocation: p.artifact(e.Range.File)})
		}
		replacement := sarifReplacement{DeletedRegion: *p.region(e.Range)}
		if e.New != "" {
			replacement.InsertedContent = &sarifText{Text: e.New}
		}
		out.ArtifactChanges[i].Replacements = append(out.ArtifactChanges[i].Replacements, replacement)
	}
	return out
}

func (p Printer) location(r Range) sarifLocation {
	var at sarifLocation
	at.Physical.Artifact = p.artifact(r.File)
	if r.Start.Line > 0 {
		at.Physical.Region = p.region(r)
	}
	return at
}

// artifact gives the file as a relative URI reference (RFC 3986): a colon in
// its first segment is not taken for a scheme, spaces and the like are encoded.
func (p Printer) artifact(file string) sarifArtifact {
	return sarifArtifact{URI: (&url.URL{Path: filepath.ToSlash(p.path(file))}).String()}
}

// region counts columns in code points, as the run says.
func (p Printer) region(r Range) *sarifRegion {
	end := r.End
	if end.before(r.Start) {
		end = r.Start
	}
	return &sarifRegion{
		StartLine: int(r.Start.Line), StartColumn: p.column(r.File, r.Start),
		EndLine: int(end.Line), EndColumn: p.column(r.File, end),
	}
}

func (p Printer) column(file string, at Pos) int {
	line, ok := p.line(Range{File: file, Start: at})
	if !ok {
		return max(1, int(at.Col))
	}
	return utf8.RuneCountInString(line[:min(max(int(at.Col)-1, 0), len(line))]) + 1
}
