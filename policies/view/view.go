// Package view is what rules read of a mesh and of a change: version v1 of the
// data that schema/policy/view.cue describes. Every field is always there.
package view

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// View is all that a rule can read.
type View struct {
	Now    string  `json:"now"` // RFC 3339
	Mesh   *Mesh   `json:"mesh"`
	Base   *Mesh   `json:"base"`
	Change *Change `json:"change"`
}

// Mesh is a mesh as compiled. The maps are by reference.
type Mesh struct {
	Name        string               `json:"name"`
	TrustDomain string               `json:"trustDomain"`
	Aliases     []string             `json:"trustDomainAliases"`
	Service     map[string]*Service  `json:"service"`
	Gateway     map[string]*Gateway  `json:"gateway"`
	External    map[string]*External `json:"external"`
	Raw         []string             `json:"raw"`
}

// Service is one service.
type Service struct {
	Ref            string             `json:"ref"`
	Name           string             `json:"name"`
	Namespace      string             `json:"namespace"`
	Owner          string             `json:"owner"`
	Host           string             `json:"host"`
	ServiceAccount string             `json:"serviceAccount"`
	Identity       string             `json:"identity"`
	MTLS           string             `json:"mtls"`
	MigrationUntil string             `json:"migrationUntil"`
	Proxy          string             `json:"proxy"`
	Ports          []Port             `json:"ports"`
	Versions       map[string]Version `json:"versions"`
	Uses           []string           `json:"uses"`
	UsedBy         []string           `json:"usedBy"`
	ExposedBy      []string           `json:"exposedBy"`
	Routes         []Route            `json:"routes"`
	access
}

// access is who is let in, of services and gateways.
type access struct {
	Allow      []Access `json:"allow"`
	Deny       []Access `json:"deny"`
	Audit      []Access `json:"audit"`
	Tokens     []Token  `json:"tokens"`
	Authorizer string   `json:"authorizer"`
	RateLimits []string `json:"rateLimits"`
}

// Port of a service.
type Port struct {
	Name     string `json:"name"`
	Number   uint16 `json:"number"`
	Protocol string `json:"protocol"`
	MTLS     string `json:"mtls"`
}

// Version of a service.
type Version struct {
	Labels map[string]string `json:"labels"`
}

// Route of a service.
type Route struct {
	Name        string      `json:"name"`
	Ports       []uint16    `json:"ports"`
	From        []string    `json:"from"`
	Match       []string    `json:"match"`
	Does        string      `json:"does"`
	To          []Share     `json:"to"`
	Status      uint32      `json:"status"`
	Timeout     json.Number `json:"timeout"`
	MaxDuration json.Number `json:"maxDuration"`
	IdleTimeout json.Number `json:"idleTimeout"`
	Retries     Retries     `json:"retries"`
	Faults      []Fault     `json:"faults"`
	Mirrors     []Mirror    `json:"mirrors"`
	Upgrades    []string    `json:"upgrades"`
}

// Share of the requests of a route.
type Share struct {
	Version string      `json:"version"`
	Percent json.Number `json:"percent"`
}

// Retries of a route.
type Retries struct {
	Attempts uint32      `json:"attempts"`
	On       []string    `json:"on"`
	Statuses []uint32    `json:"statuses"`
	PerTry   json.Number `json:"perTry"`
}

// Fault of a route.
type Fault struct {
	Name    string      `json:"name"`
	Kind    string      `json:"kind"`
	What    string      `json:"what"`
	Percent json.Number `json:"percent"`
	Until   string      `json:"until"`
	From    []string    `json:"from"`
}

// Mirror of a route.
type Mirror struct {
	To      string      `json:"to"`
	Percent json.Number `json:"percent"`
}

// Access is a rule about who is let in.
type Access struct {
	Anybody       bool     `json:"anybody"`
	Authenticated bool     `json:"authenticated"`
	Identities    []string `json:"identities"`
	NotIdentities []string `json:"notIdentities"`
	Namespaces    []string `json:"namespaces"`
	NotNamespaces []string `json:"notNamespaces"`
	IPs           []string `json:"ips"`
	NotIPs        []string `json:"notIPs"`
	ClientIPs     []string `json:"clientIPs"`
	NotClientIPs  []string `json:"notClientIPs"`
	Ports         []uint16 `json:"ports"`
	NotPorts      []uint16 `json:"notPorts"`
	Methods       []string `json:"methods"`
	NotMethods    []string `json:"notMethods"`
	Paths         []string `json:"paths"`
	NotPaths      []string `json:"notPaths"`
	Hosts         []string `json:"hosts"`
	NotHosts      []string `json:"notHosts"`
	Headers       []string `json:"headers"`
	Claims        []string `json:"claims"`
	Derived       bool     `json:"derived"`
}

// Token that is verified.
type Token struct {
	Name     string `json:"name"`
	Issuer   string `json:"issuer"`
	Required bool   `json:"required"`
}

// Gateway is one gateway.
type Gateway struct {
	Ref       string         `json:"ref"`
	Name      string         `json:"name"`
	Namespace string         `json:"namespace"`
	Identity  string         `json:"identity"`
	Proxy     string         `json:"proxy"`
	Egress    bool           `json:"egress"`
	Listeners []Listener     `json:"listeners"`
	Routes    []GatewayRoute `json:"routes"`
	AllowOnly bool           `json:"allowOnly"`
	access
}

// Listener of a gateway.
type Listener struct {
	Name       string   `json:"name"`
	Port       uint16   `json:"port"`
	Protocol   string   `json:"protocol"`
	TLS        string   `json:"tls"`
	MinVersion string   `json:"minVersion"`
	Redirects  bool     `json:"redirects"`
	Hosts      []string `json:"hosts"`
}

// GatewayRoute is a rule of a gateway that met one of its service.
type GatewayRoute struct {
	Name        string      `json:"name"`
	Port        uint16      `json:"port"`
	Host        string      `json:"host"`
	Service     string      `json:"service"`
	ServicePort uint16      `json:"servicePort"`
	Match       []string    `json:"match"`
	Does        string      `json:"does"`
	Status      uint32      `json:"status"`
	Timeout     json.Number `json:"timeout"`
}

// External is one external.
type External struct {
	Ref       string         `json:"ref"`
	Name      string         `json:"name"`
	Namespace string         `json:"namespace"`
	Host      string         `json:"host"`
	Ports     []ExternalPort `json:"ports"`
	Via       string         `json:"via"`
	Endpoints []string       `json:"endpoints"`
	Timeout   json.Number    `json:"timeout"`
	TLS       ExternalTLS    `json:"tls"`
	UsedBy    []string       `json:"usedBy"`
}

// ExternalPort is a port of an external.
type ExternalPort struct {
	Name     string `json:"name"`
	Number   uint16 `json:"number"`
	Protocol string `json:"protocol"`
	TLS      bool   `json:"tls"`
}

// ExternalTLS is TLS to an external.
type ExternalTLS struct {
	Mode          string `json:"mode"`
	MinVersion    string `json:"minVersion"`
	Insecure      string `json:"insecure"`
	InsecureUntil string `json:"insecureUntil"`
}

// Moment writes a time as rules read it; "" for the zero time.
func Moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// seconds of a span, as a decimal.
func seconds(d time.Duration) json.Number {
	whole, rest := int64(d/time.Second), int64(d%time.Second)
	text := strconv.FormatInt(whole, 10)
	if rest != 0 {
		nanos := strconv.FormatInt(rest+int64(time.Second), 10)[1:]
		text += "." + strings.TrimRight(nanos, "0")
	}
	return json.Number(text)
}

// percent of basis points.
func percent(basisPoints uint32) json.Number { return json.Number(model.Hundredths(basisPoints)) }

func texts[T any](list []T, text func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = text(v)
	}
	return out
}

func refs(list []model.Ref) []string { return texts(list, model.Ref.String) }

func mapped[T, U any](list []T, f func(*T) U) []U {
	out := make([]U, len(list))
	for i := range list {
		out[i] = f(&list[i])
	}
	return out
}
