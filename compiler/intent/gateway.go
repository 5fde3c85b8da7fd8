package intent

// Action is what r does by itself, as a route: its matches, its answer, and what
// it changes.
func (r *GatewayRoute) Action() *Route {
	return &Route{
		Name: r.Name, Match: r.Match, Except: r.Except, Redirect: r.Redirect, Respond: r.Respond, Rewrite: r.Rewrite,
		RequestHeaders: r.RequestHeaders, ResponseHeaders: r.ResponseHeaders, At: r.At,
	}
}

// Answers says that r goes to no service.
func (r *GatewayRoute) Answers() bool { return r.Redirect != nil || r.Respond != nil }
