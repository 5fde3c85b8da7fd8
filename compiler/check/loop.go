package check

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// maxHops is how many redirects browsers and curl follow, and a few more.
const maxHops = 60

// redirectLoops follows, from each route that redirects, one request that it
// takes: a client that does the same and comes back will do so for ever.
func (c *overModel) redirectLoops() {
	for _, s := range c.mesh.Services {
		for _, r := range s.Routes {
			if r.Redirect == nil || len(r.Ports) == 0 {
				continue
			}
			if first := example(s, r); first != nil && c.comesBack(s, first) {
				d := c.report(diag.RedirectLoop, r.Redirect.Origin, "route %q redirects to where requests are redirected without end", r.Name)
				d.Witness = first.Method + " http://" + s.Host + ":" + strconv.Itoa(int(first.Port)) + first.Target
			}
		}
	}
}

// example is a request that r takes and no route before it, or nil.
func example(s *model.Service, r *model.Route) *answer.Request {
	p := reach.OfMatches(r.Match)
	for _, e := range s.Routes {
		if e == r {
			break
		}
		p = reach.All(p, reach.Not(reach.OfMatches(e.Match)))
	}
	w, err := reach.Find(reach.All(p, reach.Is(reach.Dim{Kind: reach.Scheme}, reach.Exactly("http"))))
	if err != nil || w == nil {
		return nil
	}
	if w.Host == "" {
		w.Host = s.Host
	}
	req := &answer.Request{Method: w.Method, Host: w.Host, Port: r.Ports[0], Target: w.Target(), Headers: w.Fields()}
	if answer.Route(s, req) != r {
		return nil
	}
	return req
}

// comesBack follows redirects while they stay with the service.
func (c *overModel) comesBack(s *model.Service, req *answer.Request) bool {
	seen := map[string]bool{}
	for range maxHops {
		r := answer.Route(s, req)
		if r == nil || r.Redirect == nil {
			return false
		}
		to := answer.Location(r.Redirect, req)
		if seen[to] {
			return true
		}
		seen[to] = true
		next, ok := follow(req, to)
		if !ok {
			return false
		}
		req = next
	}
	return true // it grows for ever
}

// follow is the request that a client makes of a Location; ok is false when it
// goes to another server.
func follow(req *answer.Request, to string) (next *answer.Request, ok bool) {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "http" || !strings.EqualFold(u.Hostname(), req.Host) {
		return nil, false
	}
	port := uint64(80)
	if u.Port() != "" {
		if port, err = strconv.ParseUint(u.Port(), 10, 16); err != nil {
			return nil, false
		}
	}
	if uint16(port) != req.Port {
		return nil, false
	}
	out := *req
	_, out.Target, _ = strings.Cut(strings.TrimPrefix(to, "http://"), "/")
	out.Target = "/" + out.Target
	return &out, true
}
