package reach

import (
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/meshc/meshc/compiler/reach/automaton"
)

// Kind of a coordinate of requests.
type Kind string

// Kinds. Those after Method have names, of which a request may have any.
const (
	Scheme   Kind = "scheme"
	Port     Kind = "port"            // that the client asked for, in decimal
	Host     Kind = "host"            // without port, in lower case
	Identity Kind = "identity"        // the SPIFFE ID of the client; absent without mutual TLS
	Address  Kind = "address"         // of the connection's other end, in the form of addressText
	Client   Kind = "client address"  // as proxies in front of a gateway tell; as Address
	Through  Kind = "gateway address" // of a gateway, as the service behind it sees it; as Address
	Path     Kind = "path"            // in normal form, without query
	Method   Kind = "method"
	Header   Kind = "header" // name in lower case
	Query    Kind = "query"  // the first value of a key, as sent
	Cookie   Kind = "cookie" // the first value of a cookie, without its quotes
	Label    Kind = "label"  // of the client's workload
	Claim    Kind = "claim"  // of a verified token, by model.ClaimName; each string of a list by itself
)

// Dim is one coordinate of requests.
type Dim struct {
	Kind Kind
	Name string // of a header, query key, cookie, label or claim
}

// String gives "path", or `header "x-user"`.
func (d Dim) String() string {
	if d.Name == "" {
		return string(d.Kind)
	}
	return string(d.Kind) + " " + strconv.Quote(d.Name)
}

// kind says what values a coordinate can have. What lies outside the domain
// reaches no route table: the codecs of both data planes refuse it, or put it
// into normal form before.
type kind struct {
	optional bool // may be absent
	repeated bool // may have several values, which are judged one by one
	token    bool // its values are names that need no quotes
	samples  []string
	domain   func(name string) *automaton.DFA
}

var kinds = map[Kind]*kind{
	Scheme:   {token: true, samples: []string{"http"}, domain: expression(`https?`)},
	Port:     {token: true, samples: []string{"80", "443", "8080"}, domain: expression(portNumbers)},
	Host:     {domain: expression(hosts)},
	Identity: {optional: true, domain: expression(`spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+`)},
	Address:  {samples: sampleAddresses, domain: addresses},
	Client:   {samples: sampleAddresses, domain: addresses},
	Through:  {samples: sampleAddresses, domain: addresses},
	Path:     {domain: constant(normalPaths)},
	Method:   {token: true, samples: knownMethods, domain: constant(methods)},
	Header:   {optional: true, repeated: true, domain: constant(fieldValues)},
	Query:    {optional: true, domain: queryValues},
	Cookie:   {optional: true, domain: cookieValues},
	Label:    {optional: true, domain: expression(`([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?`)},
	Claim:    {optional: true, repeated: true, domain: expression(`(?s).*`)},
}

var sampleAddresses = []string{addressText(netip.MustParsePrefix("10.0.0.1/32")), addressText(netip.MustParsePrefix("192.0.2.1/32"))}

// addresses: an IPv4 address in IPv6 form is the IPv4 address.
var addresses = constant(func() *automaton.DFA {
	return without(compiledDomain(`4[01]{32}|6[01]{128}`), `60{80}1{16}[01]{32}`)
})

const portNumbers = `[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]`

// hosts are DNS names, IPv4 addresses and bracketed IPv6 addresses.
const hosts = `[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?|\[[0-9a-f:.]+\]`

// knownMethods are tried as examples, the most common first.
var knownMethods = []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"}

// setup is the budget of the domains, which are small.
func setup() *automaton.Budget { return &automaton.Budget{Steps: 1 << 24, States: 1 << 12} }

func expression(expr string) func(string) *automaton.DFA {
	return constant(func() *automaton.DFA { return compiledDomain(expr) })
}

func constant(build func() *automaton.DFA) func(string) *automaton.DFA {
	once := sync.OnceValue(build)
	return func(string) *automaton.DFA { return once() }
}

func compiledDomain(expr string) *automaton.DFA {
	d, err := automaton.Regex(expr, setup())
	if err != nil {
		panic("reach: the domain " + expr + " does not compile: " + err.Error())
	}
	return d
}

// without is what of all no expression of bad matches.
func without(all *automaton.DFA, bad ...string) *automaton.DFA {
	d, err := automaton.Minus(all, compiledDomain(strings.Join(bad, "|")), setup())
	if err != nil {
		panic("reach: a domain does not compile: " + err.Error())
	}
	return d
}

// normalPaths are the paths that routes are asked about. Route tables normalise
// (RFC 3986, 6): no dot segments, no "\\", no escapes of unreserved characters.
// Both data planes know no path outside visible ASCII, and meshc-proxy refuses
// what two readers could read in two ways: dot segments behind an escaped slash
// or before a parameter, and escaped NUL and backslash.
func normalPaths() *automaton.DFA {
	return without(compiledDomain(`/[!-\[\]-~]*`),
		`.*[?#].*`,
		`.*%(00|5[cC]).*`,
		`.*%(2[dDeE]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF]|7[eE]).*`,
		`.*(/|%2[fF])\.\.?((;|/|%2[fF]).*)?`,
	)
}

// methods are the tokens that the language takes; CONNECT has no path to route.
func methods() *automaton.DFA {
	return without(compiledDomain("[A-Z][A-Z0-9!#$%&'*+.^_`|~-]*"), "CONNECT")
}

// fieldValues follow RFC 9110, 5.5: visible bytes, with spaces and tabs between
// them.
func fieldValues() *automaton.DFA {
	visible := func(c byte) bool { return c > ' ' && c != 0x7f }
	return automaton.Framed(visible, func(c byte) bool { return visible(c) || c == ' ' || c == '\t' })
}

// valuesOfKeys are what may stand behind "key=" in a query.
var valuesOfKeys = expression(`[!-~]*`)

var queryText = sync.OnceValue(func() *automaton.DFA { return without(valuesOfKeys(""), `.*[&#].*`) })

// queryValues: a key that cannot be written in a query is always absent.
func queryValues(key string) *automaton.DFA {
	if strings.Contains(key, "=") || !queryText().Accepts(key) {
		return automaton.None()
	}
	return queryText()
}

var cookieText = sync.OnceValue(func() *automaton.DFA {
	char := func(c byte) bool { return c >= ' ' && c != 0x7f && c != ';' }
	return automaton.Framed(char, char)
})

// cookieValues: spaces at the ends can be sent in quotes. A name that cannot be
// written in a Cookie field is always absent.
func cookieValues(name string) *automaton.DFA {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f || c == ';' || c == '=' {
			return automaton.None()
		}
	}
	return cookieText()
}
