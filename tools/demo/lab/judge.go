package lab

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// row is one line of the table.
type row struct {
	step               step
	commit             string
	programmed         time.Duration
	n                  int
	measured, expected string
	problems           []string
}

func (r *row) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// judge compares answers with what the step promises. A share must lie within
// five standard deviations of its binomial; a share of 0 or 1 must be exact.
func (r *row) judge(answers []Answer) {
	r.n = len(answers)
	counts := map[string]int{}
	var late, unrated, failed int
	for _, a := range answers {
		counts[a.Version]++
		if a.Took >= r.step.delayed {
			late++
		}
		if a.Rating != "" {
			unrated++
		}
		if a.Failed != "" {
			failed++
		}
	}
	for _, v := range []string{"v1", "v2", "v3"} {
		want, got := r.step.split[v], float64(counts[v])/float64(max(r.n, 1))
		if want > 0 || counts[v] > 0 {
			r.expected += fmt.Sprintf(" %s %.4g%%", v, want*100)
			r.measured += fmt.Sprintf(" %s %.4g%%", v, got*100)
		}
		if bound := 5 * math.Sqrt(want*(1-want)/float64(max(r.n, 1))); math.Abs(got-want) > bound {
			r.problem("%s got %.3f %%, not %.3f %% ± %.3f %%", v, got*100, want*100, bound*100)
		}
	}
	r.judgeFault(late, unrated)
	if failed > 0 {
		r.problem("%d measured requests failed", failed)
	}
	r.expected, r.measured = strings.TrimSpace(r.expected), strings.TrimSpace(r.measured)
}

func (r *row) judgeFault(late, unrated int) {
	if r.step.delayed > 0 {
		r.expected += fmt.Sprintf(", ≥ %v 100%%", r.step.delayed)
		r.measured += fmt.Sprintf(", ≥ %v %.4g%%", r.step.delayed, 100*float64(late)/float64(r.n))
		if late != r.n {
			r.problem("%d of %d answers came before %v", r.n-late, r.n, r.step.delayed)
		}
	}
	want := 0
	if r.step.rating {
		want = r.n
		r.expected += ", no stars 100%"
		r.measured += fmt.Sprintf(", no stars %.4g%%", 100*float64(unrated)/float64(r.n))
	}
	if unrated != want {
		r.problem("%d of %d answers had no stars, not %d", unrated, r.n, want)
	}
}
