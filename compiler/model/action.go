package model

// Redirect answers with another URL. What is empty stays as in the request.
type Redirect struct {
	Scheme     string // http or https
	Host       string
	Port       uint16        // 0 = that of the request
	Path       string        // whole path, without query
	Rewrite    *Substitution // of the path; only where Path is empty
	Status     uint32        // 301, 302, 303, 307 or 308
	StripQuery bool
	Origin     Origin
}

// Respond answers without a destination.
type Respond struct {
	Status      uint32
	Body        string
	ContentType string // empty: text/plain
	Origin      Origin
}

// Rewrite changes what destinations see of a request.
type Rewrite struct {
	Host   string        // empty: that of the request
	Path   *Substitution // nil: that of the request
	Origin Origin
}

// Substitution puts text in place of every match of an RE2 expression in the
// path; \1 to \9 stand for groups, \0 for the match and \\ for a backslash.
type Substitution struct {
	Pattern string
	Text    string
}

// Answers says that r is answered by the proxy itself and goes nowhere.
func (r *Route) Answers() bool { return r.NotFound || r.Redirect != nil || r.Respond != nil }
