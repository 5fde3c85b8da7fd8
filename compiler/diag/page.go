package diag

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Text is the page of `meshc explain CODE`.
func (e Entry) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s\n\n%s\n", e.Code, e.Severity, e.Title, e.Explain)
	for _, example := range []struct{ word, text string }{{"Bad", e.Bad}, {"Good", e.Good}} {
		if example.text != "" {
			fmt.Fprintf(&b, "\n%s:\n    %s\n", example.word, strings.ReplaceAll(example.text, "\n", "\n    "))
		}
	}
	fmt.Fprintf(&b, "\n%s\n", e.suppression())
	return b.String()
}

// Markdown is the same page for documents.
func (e Entry) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s: %s\n\n%s. %s\n", e.Code, EscapeMarkdown(e.Title), e.Severity, EscapeMarkdown(e.Explain))
	for _, example := range []struct{ word, text string }{{"Bad", e.Bad}, {"Good", e.Good}} {
		if example.text != "" {
			fmt.Fprintf(&b, "\n%s:\n\n%s", example.word, FencedMarkdown("cue", example.text))
		}
	}
	fmt.Fprintf(&b, "\n%s\n", EscapeMarkdown(e.suppression()))
	return b.String()
}

func (e Entry) suppression() string {
	if !Suppressible(e.Code) {
		return "It cannot be suppressed."
	}
	return fmt.Sprintf("To suppress it: @meshc(ignore=%s, reason=\"...\", until=\"2027-01-31\") behind the field; the reason is required, the end is not.", e.Code)
}

// MarshalJSON adds to the fields whether the code can be suppressed.
func (e Entry) MarshalJSON() ([]byte, error) {
	type plain Entry
	return json.Marshal(struct {
		plain
		Suppressible bool `json:"suppressible"`
	}{plain(e), Suppressible(e.Code)})
}
