package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
)

// ViolationsTitle says in a few words what was found against the policies.
func ViolationsTitle(all diag.List) string {
	return fmt.Sprintf("Policies: %s, %s", count(all.Count(diag.Error), "error"), count(all.Count(diag.Warning), "warning"))
}

// Violations writes what was found against the policies of a mesh for a comment
// of a pull request, in not much more than most bytes, and says how many it
// wrote. Without any it writes nothing.
func Violations(w io.Writer, all diag.List, most int) (int, error) {
	if len(all) == 0 {
		return 0, nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", ViolationsTitle(all))
	for i, d := range all {
		line := fmt.Sprintf("- **%s** %s: %s", d.Severity, d.Code, diag.EscapeMarkdown(clip(d.Message, cellWidth*3)))
		if d.Witness != "" {
			line += ", for example " + diag.EscapeMarkdown(clip(d.Witness, cellWidth))
		}
		if b.Len()+len(line) > most {
			fmt.Fprintf(&b, "- %d more\n", len(all)-i)
			break
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("\n")
	return io.WriteString(w, b.String())
}
