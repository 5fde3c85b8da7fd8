package route

import (
	"github.com/meshc/meshc/dataplane/message"
)

// Table is one compiled RouteConfiguration. A Table written by hand, without
// NewTable, routes the same; it only looks virtual hosts and routes up more slowly.
type Table struct {
	Name         string
	VirtualHosts []*VirtualHost

	// IgnorePort drops a port from the authority before virtual hosts are
	// compared (ignore_port_in_host_matching).
	IgnorePort bool

	// NormalizePath puts the request's Target into normal form before anything
	// looks at it, and RejectEscapedSlashes refuses paths with %2F or %5C
	// (normalize_path and path_with_escaped_slashes_action of the connection
	// manager). A path that cannot be normalised or is refused gets the entry
	// BadPath.
	NormalizePath, RejectEscapedSlashes bool

	index *domainIndex // nil: VirtualHosts are searched
}

// VirtualHost is one set of domains and its routes, in order.
type VirtualHost struct {
	Name    string
	Domains []string
	Routes  []*Route

	paths *pathIndex // nil: Routes are tried one after the other
}

// Route pairs a condition with what to do. A nil Matches accepts every request.
type Route struct {
	Entry   *Entry
	Matches func(*message.Request, uint64) bool

	path pathRule // a condition too, of routes that Compile has made
}

// NewTable gives the table of these virtual hosts with its indices, or the
// domain that is claimed twice. The hosts and their routes are the table's from
// then on.
func NewTable(name string, hosts []*VirtualHost) (*Table, error) {
	index, err := indexDomains(hosts)
	if err != nil {
		return nil, err
	}
	for _, host := range hosts {
		host.paths = indexPaths(host.Routes)
	}
	return &Table{Name: name, VirtualHosts: hosts, index: index}, nil
}

// BadPath stands for the entry of requests whose path a table does not take. They
// are answered 400 before any filter sees them.
var BadPath = &Entry{Name: "bad_path", Direct: DirectResponse{Status: 400}}

// Route gives the entry of the first route, in the virtual host that the
// authority selects, whose condition holds, or nil (Envoy's NR, 404). random is
// the stream's random value: the same one that Entry.Pick gets, because Envoy
// draws runtime fractions and splits from one value. Where NormalizePath is
// set it replaces req.Target, which is what filters judge and upstreams get
// afterwards. Route does not allocate for a path that is normal already.
func (t *Table) Route(req *message.Request, random uint64) *Entry {
	if !t.normalize(req) {
		return BadPath
	}
	return t.RouteAgain(req, random)
}

// RouteAgain is Route for a request that it has routed before, with a path that
// is normal: what is unescaped twice could become what nobody has judged.
func (t *Table) RouteAgain(req *message.Request, random uint64) *Entry {
	host := t.VirtualHost(req.Authority)
	if host == nil {
		return nil
	}
	path := PathOf(req)
	if host.paths != nil {
		return host.paths.first(host.Routes, path, req, random)
	}
	for _, r := range host.Routes {
		if r.path.takes(path) && (r.Matches == nil || r.Matches(req, random)) {
			return r.Entry
		}
	}
	return nil
}

func (t *Table) normalize(req *message.Request) bool {
	if t.RejectEscapedSlashes && message.HasEscapedSlash(req.Target) {
		return false
	}
	if !t.NormalizePath {
		return true
	}
	target, ok := message.NormalizePath(req.Target)
	if ok {
		req.Target = target
	}
	return ok
}

// VirtualHost gives the virtual host that serves this authority: exact domain
// first, then the longest suffix wildcard ("*.a"), the longest prefix wildcard
// ("a.*"), then "*". Domains are compared without regard to ASCII case and
// include the port, as Envoy does.
func (t *Table) VirtualHost(authority string) *VirtualHost {
	if t.IgnorePort {
		authority = trimPort(authority)
	}
	if t.index != nil {
		return t.index.find(authority)
	}
	index, err := indexDomains(t.VirtualHosts)
	if err != nil {
		return nil
	}
	return index.find(authority)
}
