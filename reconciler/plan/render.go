package plan

import (
	"encoding/json"
	"fmt"
	"io"
)

// apiVersion of the JSON form.
const apiVersion = "meshc.dev/v1alpha1"

// Text writes one line per change and a closing count.
func (p *Plan) Text(w io.Writer) error {
	for _, c := range p.Changes {
		if _, err := fmt.Fprintf(w, "%s %s %s%s\n", symbols[c.Action], c.Kind, c.Name, arrow(c)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s\n", p)
	return err
}

func arrow(c Change) string {
	if c.Action != Changed {
		return ""
	}
	return fmt.Sprintf(" %.12s → %.12s", c.Live, c.Desired)
}

// String gives the counts on one line.
func (p *Plan) String() string {
	if p.Empty() {
		return "no changes"
	}
	count := map[Action]int{}
	for _, c := range p.Changes {
		count[c.Action]++
	}
	return fmt.Sprintf("%d added, %d changed, %d removed", count[Added], count[Changed], count[Removed])
}

// JSON writes the plan in its versioned envelope.
func (p *Plan) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		*Plan
	}{apiVersion, "Plan", p})
}
