package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
	"github.com/meshc/meshc/dataplane/message"
)

// routeFlags of `meshc route`.
type routeFlags struct {
	from, method, dir string
	ip, clientIP      string
	headers, claims   []string
	out               *outputFormat
}

func newRouteCmd() *cobra.Command {
	var f routeFlags
	cmd := &cobra.Command{
		Use:   "route --from SVC [-X METHOD] [-H 'name: value']... URL",
		Short: "say where a request goes, and why",
		Long: `route follows one request through the mesh as it is written: which rule takes
it, where it goes, with what timeout, retries and faults, and whether the
service lets the caller in.

The caller is a service or a gateway. A service's URL names the service by its
host, by "name.namespace", or by its name within the caller's namespace; a
gateway's URL is what a client sends to the gateway.

Exit status: 0 it is routed and allowed, 1 it is not, 2 could not tell.`,
		Example: `  meshc route --from productpage http://reviews:9080/reviews/1
  meshc route --from shop/productpage -H 'end-user: jason' http://reviews:9080/
  meshc route --from ingress http://shop.example:8080/productpage`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runRoute(cmd, &f, args[0]) },
	}
	cmd.Flags().StringVar(&f.from, "from", "", "the caller: \"name\" or \"namespace/name\"")
	cmd.Flags().StringVarP(&f.method, "request", "X", "GET", "the method")
	cmd.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "a header, \"name: value\"; may be repeated")
	cmd.Flags().StringArrayVar(&f.claims, "claim", nil, "a claim of a valid token, \"provider.claim=value\", or \"provider\" for a token; may be repeated")
	cmd.Flags().StringVar(&f.ip, "ip", "", "the caller's address, for rules that look at it")
	cmd.Flags().StringVar(&f.clientIP, "client-ip", "", "at a gateway: the client's address, as the proxies in front tell that are believed (default: what x-forwarded-for comes to)")
	cmd.Flags().StringVar(&f.dir, "dir", ".", "the mesh directory")
	f.out = addOutputFlag(cmd)
	_ = cmd.MarkFlagRequired("from")
	return cmd
}

func runRoute(cmd *cobra.Command, f *routeFlags, rawURL string) error {
	req, explicitPort, err := parseRequest(f.method, rawURL, f.headers)
	if err != nil {
		return err
	}
	if err := readAddresses(req, f.ip, f.clientIP); err != nil {
		return err
	}
	if req.Claims, err = parseClaims(f.claims); err != nil {
		return err
	}
	m, err := compileDir(cmd.Context(), cmd.ErrOrStderr(), f.dir)
	if err != nil {
		return err
	}
	from := literal.Ref(f.from, scope.DefaultNamespace)
	if !explicitPort {
		req.Port = answer.DefaultPort(m, from, req)
	}
	if req.TLS && m.Gateway(from) == nil {
		return fmt.Errorf("URL %q: a service calls others by http://; its proxy does the TLS", rawURL)
	}
	got, ok := answer.Ask(m, from, req, time.Now())
	if !ok {
		return unknownCaller(m, from)
	}
	if f.out.value == "json" {
		err = writeJSON(cmd.OutOrStdout(), "RouteResult", got)
	} else {
		err = got.Text(cmd.OutOrStdout())
	}
	if err == nil && !got.Outcome.Good() {
		err = answerNo()
	}
	return err
}

// readAddresses reads --ip and --client-ip.
func readAddresses(req *answer.Request, ip, clientIP string) (err error) {
	if ip != "" {
		if req.Source, err = netip.ParseAddr(ip); err != nil {
			return fmt.Errorf("--ip: %w", err)
		}
	}
	if clientIP != "" {
		if req.Client, err = netip.ParseAddr(clientIP); err != nil {
			return fmt.Errorf("--client-ip: %w", err)
		}
	}
	return nil
}

// parseClaims reads "provider.claim=value", and "provider" for a token of which
// nothing else is said.
func parseClaims(list []string) ([]model.Header, error) {
	var out []model.Header
	for _, text := range list {
		name, value, _ := strings.Cut(text, "=")
		provider, claim, named := strings.Cut(name, ".")
		if provider == "" || named != strings.Contains(text, "=") || named && claim == "" {
			return nil, fmt.Errorf("--claim %q: want \"provider.claim=value\" or \"provider\"", text)
		}
		out = append(out, model.Header{Name: name, Value: value})
	}
	return out, nil
}

// unknownCaller names those that the user may have meant: of the same name in
// other namespaces, because a bare name means the default one.
func unknownCaller(m *model.Mesh, from model.Ref) error {
	var meant []string
	for _, s := range m.Services {
		if s.Name == from.Name {
			meant = append(meant, s.Ref.String())
		}
	}
	for _, g := range m.Gateways {
		if g.Name == from.Name {
			meant = append(meant, g.Ref.String())
		}
	}
	if len(meant) == 0 {
		return fmt.Errorf("the mesh has no service or gateway %s", from)
	}
	return fmt.Errorf("the mesh has no service or gateway %s; did you mean --from %s?", from, strings.Join(meant, " or --from "))
}

// parseRequest reads what the command line says of the request.
func parseRequest(method, rawURL string, headers []string) (r *answer.Request, explicitPort bool, err error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		return nil, false, fmt.Errorf("URL %q: want http://HOST[:PORT]/PATH, or https:// at a gateway", rawURL)
	}
	target, ok := message.NormalizePath(u.RequestURI()) // as proxies do before they ask the rules
	if !ok || message.HasEscapedSlash(target) {
		return nil, false, fmt.Errorf("URL %q: the proxy of the service or of the gateway answers 400 to this path", rawURL)
	}
	r = &answer.Request{Method: method, Host: strings.ToLower(u.Hostname()), Port: 80, Target: target, TLS: u.Scheme == "https"}
	if r.TLS {
		r.Port = 443
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return nil, false, fmt.Errorf("URL %q: port %s is not a port number", rawURL, p)
		}
		r.Port = uint16(n)
	}
	for _, h := range headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, false, fmt.Errorf("header %q: want \"name: value\"", h)
		}
		r.Headers = append(r.Headers, model.Header{Name: strings.ToLower(strings.TrimSpace(name)), Value: strings.TrimSpace(value)})
	}
	return r, u.Port() != "", nil
}
