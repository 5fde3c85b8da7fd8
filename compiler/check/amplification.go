package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/lower"
	"github.com/meshc/meshc/compiler/model"
)

// maxAmplification is how many requests one may become before it is reported.
// Two layers of five retries, three of three, or six of one go beyond it; five
// layers that each try twice do not. Site Reliability Engineering (chapter 22)
// takes three layers of four tries, 64, for an overload that feeds itself.
const maxAmplification = 32

// onceOver is a factor of one: factors count in hundredths, so that the arithmetic
// is the same on every machine.
const onceOver = 100

// saturated stands for every product that is larger.
const saturated = 1_000_000_000 * onceOver

// times multiplies two factors, rounded up.
func times(a, b int) int { return min(saturated, (a*b+onceOver-1)/onceOver) }

// factorText says a factor as in "4" and "1.25".
func factorText(f int) string {
	if f >= saturated {
		return "over a billion"
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%02d", f/onceOver, f%onceOver), "0"), ".")
}

// triesOf is how many requests one may become at a service, and the route on
// which it does.
func triesOf(s *model.Service) (factor int, worst *model.Route) {
	factor = onceOver
	if s == nil {
		return factor, nil
	}
	for _, r := range s.Routes {
		if f := triesOn(s, r); f > factor {
			factor, worst = f, r
		}
	}
	return factor, worst
}

// triesOn counts the tries of a route, as far as each of them may make the
// service work: after failures such as connect-failure nothing was processed.
// A retry budget of p percent of the active requests lets a load of 1 become
// 1/(1-p) at most. Fixed limits such as maxRetries are each proxy's, and do not
// grow with the load, so they bound nothing that is known here.
func triesOn(s *model.Service, r *model.Route) int {
	if r.Retry == nil || len(r.Retry.Statuses) == 0 && !slices.ContainsFunc(r.Retry.On, unsafeRetry) {
		return onceOver
	}
	factor := onceOver
	for _, to := range r.Split {
		factor = max(factor, budgeted(s.Version(to.Version), int(r.Retry.Attempts)))
	}
	return factor
}

func unsafeRetry(on string) bool { return !slices.Contains(lower.SafeRetryOn, on) }

func budgeted(v *model.Version, attempts int) int {
	tries := (1 + attempts) * onceOver
	if v == nil || v.Traffic == nil || v.Traffic.RetryBudget == nil {
		return tries
	}
	left := model.BasisPointsWhole - int(v.Traffic.RetryBudget.BasisPoints)
	if left <= 0 {
		return tries
	}
	return min(tries, (onceOver*model.BasisPointsWhole+left-1)/left)
}

// amplification is the pass while it runs: by node, the factor of its own, the
// largest product of a path that ends there, and of one that begins there.
type amplification struct {
	*callGraph
	own, in, out []int
	worst        []*model.Route
	before, next []int // the neighbour on that path, or -1
}

// retryAmplification multiplies tries along every path of the call graph: what
// each layer tries again reaches the layers below as new requests.
func (c *overModel) retryAmplification() {
	a := c.graph().amplification()
	for _, v := range a.order {
		if a.in[v] > maxAmplification*onceOver && (a.before[v] < 0 || a.in[a.before[v]] <= maxAmplification*onceOver) {
			c.reportAmplification(a, v)
		}
	}
	for _, members := range a.cycles {
		c.retriedCycle(a, members)
	}
}

// amplification is made once for a graph.
func (g *callGraph) amplification() *amplification {
	if g.tries == nil {
		g.tries = newAmplification(g)
	}
	return g.tries
}

func newAmplification(g *callGraph) *amplification {
	n := len(g.nodes)
	a := &amplification{callGraph: g, own: make([]int, n), in: make([]int, n), out: make([]int, n),
		worst: make([]*model.Route, n), before: make([]int, n), next: make([]int, n)}
	for v := range g.nodes {
		a.own[v], a.worst[v] = triesOf(g.nodes[v].service)
	}
	a.multiply()
	return a
}

// multiply takes each node and edge twice, so its cost is linear. A cycle with
// retries has no largest product; paths neither enter nor leave it.
func (a *amplification) multiply() {
	n := len(a.nodes)
	for i := range a.order {
		callersFirst := a.order[n-1-i]
		a.in[callersFirst], a.before[callersFirst] = a.extend(callersFirst, a.nodes[callersFirst].callers, a.in)
		calledFirst := a.order[i]
		a.out[calledFirst], a.next[calledFirst] = a.extend(calledFirst, a.nodes[calledFirst].calls, a.out)
	}
}

// extend multiplies a node's own factor with the largest of its neighbours that
// are done.
func (a *amplification) extend(v int, neighbours, done []int) (product, by int) {
	product, by = onceOver, -1
	if a.multiplies(a.nodes[v].cycle) {
		return a.own[v], by
	}
	for _, w := range neighbours {
		if a.sameCycle(v, w) || a.multiplies(a.nodes[w].cycle) {
			continue
		}
		if by < 0 || done[w] > product {
			product, by = done[w], w
		}
	}
	return times(a.own[v], product), by
}

// multiplies says that a cycle, if it is one, has retries.
func (a *amplification) multiplies(cycle int) bool {
	return cycle >= 0 && slices.ContainsFunc(a.cycles[cycle], func(v int) bool { return a.own[v] > onceOver })
}

// reportAmplification reports the worst path through v, at the retries of v,
// which are those that go beyond the bound.
func (c *overModel) reportAmplification(a *amplification, v int) {
	path := []int{v}
	for w := a.before[v]; w >= 0; w = a.before[w] {
		path = append([]int{w}, path...)
	}
	total := a.in[v]
	if w := a.next[v]; w >= 0 {
		total = times(total, a.out[w])
	}
	for w := a.next[v]; w >= 0 && a.out[w] > onceOver; w = a.next[w] {
		path = append(path, w)
	}
	d := c.report(diag.RetryAmplification, a.worst[v].Retry.Origin, "one request may become %s: the tries of every hop multiply along %s",
		factorText(total), a.pathText(path))
	d.Help = "try again in one place, best the first hop; or let a `retryBudget` bound what is tried again"
	for _, w := range path {
		if w != v && a.worst[w] != nil {
			d.Related = append(d.Related, diag.Related{Range: a.worst[w].Retry.Origin, Message: fmt.Sprintf("%s: ×%s", a.nodes[w].what, factorText(a.own[w]))})
		}
	}
}

func (a *amplification) pathText(path []int) string {
	var hops []string
	for _, v := range path {
		hop := a.nodes[v].name
		if a.own[v] > onceOver {
			hop += " (×" + factorText(a.own[v]) + ")"
		}
		hops = append(hops, hop)
	}
	return strings.Join(hops, " → ")
}

// retriedCycle reports a cycle of calls once, at its first retries.
func (c *overModel) retriedCycle(a *amplification, members []int) {
	start := -1
	for _, v := range slices.Sorted(slices.Values(members)) {
		if a.own[v] > onceOver {
			start = v
			break
		}
	}
	if start < 0 {
		return
	}
	d := c.report(diag.RetryCycle, a.worst[start].Retry.Origin, "calls may come back here, and every lap tries them again: %s", a.pathText(a.lap(start)))
	d.Help = "break the cycle of `uses`, or try again outside of it only"
}
