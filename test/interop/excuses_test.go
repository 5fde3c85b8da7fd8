package interop

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/dataplane/message"
)

// excuses are the rows of docs/envoy-differences.md: in which cases which facts
// of an exchange may differ.
var excuses = map[string]func(x *exchanged, fact string) bool{
	"ambiguous-path": func(x *exchanged, _ string) bool {
		path, _, _ := strings.Cut(x.target, "?")
		return x.meshc.Response.Status == 400 && len(x.meshc.Arrivals) == 0 && message.AmbiguousPath(path)
	},
	"unparsed": func(x *exchanged, _ string) bool {
		status := x.envoy.Response.Status // to calls in their terms
		return x.meshc.Response.Status == 400 && x.meshc.Response.Body == "" && (status == 400 || status == 200 && x.e["response header grpc-status"] == "13") && len(x.envoy.Arrivals)+len(x.meshc.Arrivals) == 0
	},
	"head": func(x *exchanged, fact string) bool {
		return x.method == "HEAD" && (fact == "response header transfer-encoding" || fact == "response header content-length") && x.e["response header transfer-encoding"] == "chunked"
	},
	"orders": func(x *exchanged, fact string) bool {
		return fact == "response header x-request-id" && x.repeats("x-envoy-force-trace", 1)
	},
	"repeated": func(x *exchanged, fact string) bool {
		return fact == "request header x-request-id" && x.repeats("x-request-id", 2) || fact == "request header expect" && x.repeats("expect", 2) || (fact == "body" || fact == "status" || strings.HasPrefix(fact, "response header ")) && x.repeats("content-type", 2)
	},
	"stale-connection": func(x *exchanged, _ string) bool {
		return len(x.meshc.Arrivals) == len(x.envoy.Arrivals)+1 && x.says("close") && slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, or(x.method, "GET")) && x.body == "" && x.raw == ""
	},
	"no-content": inFact("request header content-length", func(e, m string) bool { return e == "0" && m == "" }),
	"te":         inFact("request header te", func(e, m string) bool { return e == "trailers" && m == "" }),
	"trailer":    inFact("request header trailer", func(e, m string) bool { return m == "" }),
	"loopback": inFact("request header x-forwarded-for", func(e, m string) bool {
		return strings.TrimSuffix(m, "127.0.0.1") == loopbackName.ReplaceAllString(e, "")
	}),
	"edge": func(x *exchanged, fact string) bool {
		return x.side == "gateway" && strings.HasPrefix(fact, "request header x-envoy-") && x.m[fact] == ""
	},
	"many-hops": func(x *exchanged, _ string) bool {
		return x.side == "gateway" && slices.ContainsFunc(x.headers, func(h string) bool {
			name, value, _ := strings.Cut(h, ":")
			return strings.EqualFold(name, "x-forwarded-for") && strings.Count(value, ",") >= 20
		})
	},
	"joined": func(x *exchanged, fact string) bool {
		return strings.Contains(fact, " header ") && oneList(x.e[fact]) == oneList(x.m[fact])
	},
}

// loopbackName is what Envoy says of a client on a loopback address.
var loopbackName = regexp.MustCompile(`[0-9.]+$`)

// oneList is values as one (RFC 9110 §5.3), without empty elements.
func oneList(values string) string {
	elements := strings.FieldsFunc(strings.ReplaceAll(values, " | ", ","), func(r rune) bool { return r == ',' })
	for i := range elements {
		elements[i] = strings.TrimSpace(elements[i])
	}
	return strings.Join(elements, ",")
}

func inFact(name string, may func(envoy, meshc string) bool) func(*exchanged, string) bool {
	return func(x *exchanged, fact string) bool { return fact == name && may(x.e[fact], x.m[fact]) }
}

// exchanged is one request through both.
type exchanged struct {
	*pair
	envoy, meshc *observation
	e, m         facts
}

// says: the application was told to do this, at some attempt.
func (x *exchanged) says(word string) bool {
	return slices.ContainsFunc(x.headers, func(h string) bool {
		name, value, _ := strings.Cut(h, ":")
		return name == doHeader && strings.Contains(value, word)
	})
}

// repeats: it has the header so often, at least.
func (x *exchanged) repeats(name string, n int) bool {
	for _, h := range x.headers {
		if header, _, _ := strings.Cut(h, ":"); strings.EqualFold(header, name) {
			n--
		}
	}
	return n <= 0
}

// excuse gives the row that a difference falls under, "" for none.
func (x *exchanged) excuse(fact string) string {
	for _, name := range slices.Sorted(maps.Keys(excuses)) {
		if excuses[name](x, fact) {
			return name
		}
	}
	return ""
}

// Every excuse is explained, and everything that is explained is an excuse.
func TestDifferencesAreExplained(t *testing.T) {
	raw, err := os.ReadFile("../../docs/envoy-differences.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(string(raw), -1) {
		rows[m[1]] = true
		if excuses[m[1]] == nil {
			t.Errorf("row %q excuses nothing", m[1])
		}
	}
	for name := range excuses {
		if !rows[name] {
			t.Errorf("%q is not explained", name)
		}
	}
}
