package http2

// guard bounds what a peer may make us do without getting anything done: a
// bucket for frames that cost work and carry no message, and a share for
// requests that are reset before they are answered (CVE-2023-44487, and
// CVE-2025-8671 where we are made to reset them).
type guard struct {
	noise   int
	noiseAt int64 // loop time of the last leak

	opened    int // streams, halved together with premature
	premature int // of them, reset within a second and before their answer
}

const (
	// A burst of 1,000 and 100 a second stand far above any client that pings,
	// updates windows and changes settings for a reason.
	noiseBurst  = 1000
	noisePerSec = 100
	// A request or a piece of body pays for this many frames around it.
	noisePaid = 4

	second = int64(1e9)

	// As Envoy: after so many, more than half premature is an attack.
	prematureSample  = 500
	prematureForget  = 4096
	prematureSeconds = 1
)

// nuisance counts a frame that carries nothing; false means that it is too much.
func (g *guard) nuisance(now int64) bool {
	g.noise++
	if g.noise <= noiseBurst {
		return true
	}
	leaked := (now - g.noiseAt) * noisePerSec / second
	g.noise = int(max(int64(g.noise)-leaked, 0))
	if leaked > 0 {
		g.noiseAt = now
	}
	return g.noise <= noiseBurst
}

func (g *guard) progress() { g.noise = max(g.noise-noisePaid, 0) }

func (g *guard) open() {
	if g.opened++; g.opened >= prematureForget {
		g.opened /= 2
		g.premature /= 2
	}
}

// cutShort counts a stream that ended without an answer; false: too many.
func (g *guard) cutShort(age int64) bool {
	if age > prematureSeconds*second {
		return true
	}
	g.premature++
	return g.opened < prematureSample || g.premature*2 <= g.opened
}
