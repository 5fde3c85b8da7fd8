package reach

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// Request is one point of the space: a request as a route table sees it.
// Whatever a question does not ask about has its usual value: GET / by http,
// and no host, port, identity or fields.
type Request struct {
	Scheme   string         `json:"scheme"`
	Host     string         `json:"host,omitempty"`
	Port     uint16         `json:"port,omitempty"`
	Identity string         `json:"identity,omitempty"` // "" is none
	Address  string         `json:"address,omitempty"`  // of the other end of the connection; "" is not asked about
	Client   string         `json:"client,omitempty"`   // its address as proxies in front of a gateway tell; "" is not asked about
	Through  string         `json:"through,omitempty"`  // address of the gateway, as the service behind it sees it; "" is not asked about
	Method   string         `json:"method"`
	Path     string         `json:"path"`
	Query    []model.Header `json:"query,omitempty"`
	Headers  []model.Header `json:"headers,omitempty"` // without cookies
	Cookies  []model.Header `json:"cookies,omitempty"`
	Labels   []model.Header `json:"labels,omitempty"`
	Claims   []model.Header `json:"claims,omitempty"`
}

// Target is the path and query as sent.
func (r *Request) Target() string {
	var out strings.Builder
	out.WriteString(r.Path)
	for i, q := range r.Query {
		out.WriteByte("?&"[min(i, 1)])
		out.WriteString(q.Name + "=" + q.Value)
	}
	return out.String()
}

// Fields are the header fields as sent, with the cookies in one of them. The
// scheme https is told by x-forwarded-proto, which is where proxies inside a
// mesh know it from.
func (r *Request) Fields() []model.Header {
	out := append([]model.Header(nil), r.Headers...)
	if r.Scheme == "https" {
		out = append(out, model.Header{Name: "x-forwarded-proto", Value: r.Scheme})
	}
	var jar []string
	for _, c := range r.Cookies {
		jar = append(jar, c.Name+"="+quoteCookie(c.Value))
	}
	if len(jar) > 0 {
		out = append(out, model.Header{Name: "cookie", Value: strings.Join(jar, "; ")})
	}
	return out
}

// quoteCookie puts quotes around a value that would not be read back without:
// one pair is taken off, and spaces at the ends are lost.
func quoteCookie(v string) string {
	quoted := len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"'
	if quoted || strings.Trim(v, " ") != v {
		return `"` + v + `"`
	}
	return v
}

// String writes r in one line: `GET http://web:80/a?q=1 with x: 1 as spiffe://…`.
func (r *Request) String() string {
	var out strings.Builder
	out.WriteString(r.Method + " ")
	if r.Host != "" {
		out.WriteString(r.Scheme + "://" + r.Host)
	}
	if r.Port != 0 {
		fmt.Fprintf(&out, ":%d", r.Port)
	}
	out.WriteString(r.Target())
	var with []string
	for _, h := range r.Fields() {
		with = append(with, h.Name+": "+h.Value)
	}
	for _, l := range r.Labels {
		with = append(with, "label "+l.Name+"="+l.Value)
	}
	for _, c := range r.Claims {
		if provider, claim := model.SplitClaim(c.Name); claim == "" {
			with = append(with, "token "+provider)
			continue
		}
		with = append(with, "claim "+c.Name+"="+c.Value)
	}
	if len(with) > 0 {
		out.WriteString(" with " + strings.Join(with, ", "))
	}
	if r.Identity != "" {
		out.WriteString(" as " + r.Identity)
	}
	if r.Address != "" {
		out.WriteString(" at " + r.Address)
	}
	if r.Client != "" {
		out.WriteString(" for a client at " + r.Client)
	}
	if r.Through != "" {
		out.WriteString(" through a gateway at " + r.Through)
	}
	return out.String()
}

// values of a coordinate, none when it is absent.
func (r *Request) values(d Dim) []string {
	single := func(v string) []string { return []string{v} }
	switch d.Kind {
	case Scheme:
		return single(r.Scheme)
	case Port:
		return single(fmt.Sprint(r.Port))
	case Host:
		return single(strings.ToLower(r.Host))
	case Path:
		return single(r.Path)
	case Method:
		return single(r.Method)
	case Identity:
		if r.Identity == "" {
			return nil
		}
		return single(r.Identity)
	case Address:
		return addressValue(r.Address)
	case Client:
		return addressValue(r.Client)
	case Through:
		return addressValue(r.Through)
	case Query:
		return first(r.Query, d.Name)
	case Cookie:
		return first(r.Cookies, d.Name)
	case Claim:
		return claimValues(r.Claims, d.Name)
	}
	var out []string
	for _, h := range *r.list(d.Kind) {
		if h.Name == d.Name {
			out = append(out, h.Value)
		}
	}
	if d.Kind == Header {
		return seen(d.Name, out)
	}
	return out
}

func addressValue(text string) []string {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return nil
	}
	ip = ip.Unmap()
	return []string{addressText(netip.PrefixFrom(ip, ip.BitLen()))}
}

func first(list []model.Header, name string) []string {
	for _, h := range list {
		if h.Name == name {
			return []string{h.Value}
		}
	}
	return nil
}

// list holds the values of a kind of named coordinates.
func (r *Request) list(k Kind) *[]model.Header {
	return map[Kind]*[]model.Header{
		Header: &r.Headers, Query: &r.Query, Cookie: &r.Cookies, Label: &r.Labels, Claim: &r.Claims,
	}[k]
}
