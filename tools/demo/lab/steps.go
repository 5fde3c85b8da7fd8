package lab

import (
	"fmt"
	"time"
)

// step is one commit of the routing lab and what it must do to requests.
type step struct {
	name    string
	files   map[string]string // path in the repository → new content
	user    string            // who is measured; "" = everybody who is not signed in
	split   map[string]float64
	delayed time.Duration // every measured answer takes at least this long
	rating  bool          // every measured answer misses its stars
	users   int           // how many users ask at once; more than 1,024 would meet the circuit breaker
	broken  string        // the place that meshc must name; the commit must change nothing
}

const reviewsFile, ratingsFile = "shop/reviews.cue", "shop/ratings.cue"

func reviews(routes string) string {
	return `package mesh

service: reviews: {
	owner: "team-catalog"
	ports: http: {number: 9080, protocol: "http"}
	versions: {v1: {}, v2: {}, v3: {}}
	uses: ratings: {}
` + routes + `	security: {mtls: "strict", allow: [{from: ["productpage"], methods: ["GET"]}]}
}
`
}

const jasonToV2 = `	routes: {
		jason: {match: [{headers: "end-user": exact: "jason"}], to: v2: 100}
		rest: to: %s
	}
`

func ratings(fault string) string {
	return `package mesh

service: ratings: {
	owner: "team-catalog"
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	routes: {
		jason: {match: [{headers: "end-user": exact: "jason"}], to: v1: 100}
		rest: to: v1: 100
	}
` + fault + `	security: {mtls: "strict", allow: [{from: ["reviews"], methods: ["GET"]}]}
}
`
}

// steps of the lab, in order. until is the end of the injected faults.
func steps(until time.Time) []step {
	end := until.UTC().Format(time.RFC3339)
	all := func(v string) map[string]float64 { return map[string]float64{v: 1} }
	jason := fmt.Sprintf(jasonToV2, "{v1: 90, v2: 10}")
	return []step{
		{name: "all v1", files: map[string]string{reviewsFile: reviews("\troutes: all: to: v1: 100\n")}, split: all("v1")},
		{name: "90/10", files: map[string]string{reviewsFile: reviews("\troutes: all: to: {v1: 90, v2: 10}\n")}, split: map[string]float64{"v1": .9, "v2": .1}},
		{name: "jason to v2", files: map[string]string{reviewsFile: reviews(jason)}, user: "jason", split: all("v2")},
		{name: "7 s delay for jason", files: map[string]string{ratingsFile: ratings("\tfaults: slow: {on: \"jason\", delay: {fixed: \"7s\", percent: 100}, until: \"" + end + "\"}\n")},
			user: "jason", split: all("v2"), delayed: 7 * time.Second, users: 900},
		{name: "abort 500 for jason", files: map[string]string{ratingsFile: ratings("\tfaults: broken: {on: \"jason\", abort: {status: 500, percent: 100}, until: \"" + end + "\"}\n")},
			user: "jason", split: all("v2"), rating: true},
		{name: "50/50, faults gone", files: map[string]string{ratingsFile: ratings(""), reviewsFile: reviews("\troutes: all: to: {v1: 50, v3: 50}\n")},
			split: map[string]float64{"v1": .5, "v3": .5}},
		{name: "all v3", files: map[string]string{reviewsFile: reviews("\troutes: all: to: v3: 100\n")}, split: all("v3")},
		{name: "broken: syntax", files: map[string]string{reviewsFile: reviews("\troutes: all: to: {v1: \n")}, split: all("v3"), broken: reviewsFile + ":10"},
		{name: "broken: version v9", files: map[string]string{reviewsFile: reviews("\troutes: all: to: v9: 100\n")}, split: all("v3"), broken: reviewsFile + ":8"},
		{name: "broken: weights 105", files: map[string]string{reviewsFile: reviews("\troutes: all: to: {v1: 90, v3: 15}\n")}, split: all("v3"), broken: reviewsFile + ":8"},
		{name: "fix: 20/80", files: map[string]string{reviewsFile: reviews("\troutes: all: to: {v2: 20, v3: 80}\n")}, split: map[string]float64{"v2": .2, "v3": .8}},
	}
}
