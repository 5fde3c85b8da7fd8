package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/behave/show"
	"github.com/meshc/meshc/compiler/fix"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/permit"
)

// oneRequest is what flags say of one request.
type oneRequest struct {
	text            string
	ip, clientIP    string
	headers, claims []string
}

func (o *oneRequest) addFlags(cmd *cobra.Command, what string) {
	cmd.Flags().StringVar(&o.text, "request", "", what)
	cmd.Flags().StringArrayVarP(&o.headers, "header", "H", nil, "with --request: a header, \"name: value\"; may be repeated")
	cmd.Flags().StringArrayVar(&o.claims, "claim", nil, "with --request: a claim of a valid token, \"provider.claim=value\", or \"provider\" for a token; may be repeated")
	cmd.Flags().StringVar(&o.ip, "ip", "", "with --request: the caller's address, for rules that look at it")
	cmd.Flags().StringVar(&o.clientIP, "client-ip", "", "with --request to a gateway: the client's address, as the proxies in front tell that are believed")
}

// read reads "METHOD URL". Of a path alone it takes the host that it is given.
func (o *oneRequest) read(host string) (req *answer.Request, explicitPort bool, err error) {
	method, target, ok := strings.Cut(strings.TrimSpace(o.text), " ")
	if target = strings.TrimSpace(target); !ok || target == "" || method != strings.ToUpper(method) {
		return nil, false, fmt.Errorf("--request %q: want such as \"GET /path\" or \"GET http://HOST[:PORT]/path\"", o.text)
	}
	if strings.HasPrefix(target, "/") {
		if host == "" {
			return nil, false, fmt.Errorf("--request %q: to a gateway, say the host: \"%s http://HOST%s\"", o.text, method, target)
		}
		target = "http://" + host + target
	}
	if req, explicitPort, err = parseRequest(method, target, o.headers); err != nil {
		return nil, false, err
	}
	if err := readAddresses(req, o.ip, o.clientIP); err != nil {
		return nil, false, err
	}
	req.Claims, err = parseClaims(o.claims)
	return req, explicitPort, err
}

// askOne answers for one request: whether it gets there, and if not, what would
// have to change.
func (f *reachFlags) askOne(cmd *cobra.Command, m *model.Mesh, to, from model.Ref) error {
	req, err := f.oneRequest(m, to, from)
	if err != nil {
		return err
	}
	q := permit.Question{From: from, Request: *req, Now: time.Now()}
	got, ok := answer.Ask(m, from, req, q.Now)
	if !ok {
		return unknownCaller(m, from)
	}
	there := got.Outcome == answer.Allowed || got.Outcome == answer.OutsideMesh
	if got.Service != nil && *got.Service != to {
		return fmt.Errorf("this request goes to %s, and not to %s", got.Service, to)
	}
	var changes []permit.Change
	if !there {
		root, sub, err := findModule(f.dir)
		if err != nil {
			return err
		}
		if changes, err = permit.Find(cmd.Context(), os.DirFS(root), compiler.Options{Load: load.Options{Dir: sub}}, q); err != nil {
			return fmt.Errorf("look for a change: %w", err)
		}
	}
	if f.out.value == "json" {
		err = writeJSON(cmd.OutOrStdout(), "ReachRequestResult", requestDocument(got, there, changes))
	} else {
		err = printOne(cmd.OutOrStdout(), got, there, changes)
	}
	if err == nil && !there {
		err = answerNo()
	}
	return err
}

// oneRequest reads the request that --request says.
func (f *reachFlags) oneRequest(m *model.Mesh, to, from model.Ref) (*answer.Request, error) {
	if f.from == "" {
		return nil, errors.New("--request: say --from, who sends it")
	}
	host := ""
	switch s, e := m.Service(to), m.External(to); {
	case m.Gateway(from) != nil:
	case s != nil:
		host = s.Host
	case e != nil:
		host = e.Host
	}
	req, explicitPort, err := f.request.read(host)
	if err == nil && !explicitPort {
		req.Port = answer.DefaultPort(m, from, req)
	}
	return req, err
}

func printOne(w io.Writer, got *answer.Answer, there bool, changes []permit.Change) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s\n", map[bool]string{true: "yes", false: "no"}[there], got.Outcome, got.Why)
	if z := got.Authorization; z != nil && z.At != "" {
		fmt.Fprintf(&b, "  [%s]\n", z.At)
	}
	if !there && len(changes) == 0 {
		b.WriteString("\nNo small change of uses or rules lets it in.\n")
	}
	for i, c := range changes {
		fmt.Fprintf(&b, "\n%s:\n", changeTitle(i, &c))
		for _, s := range c.Steps {
			fmt.Fprintf(&b, "  %s\n", s)
		}
		b.WriteString("\n" + unified(c.Files) + "\n")
		for _, a := range c.Access {
			if err := show.AccessDiff(&b, a, ""); err != nil {
				return err
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// changeTitle says of one of several changes how it stands to the first.
func changeTitle(i int, c *permit.Change) string {
	switch {
	case i == 0:
		return "the smallest change that lets it in"
	case c.Wider:
		return "or, which lets in all of that and more"
	}
	return "or"
}

// unified is the difference of files as patch(1) reads it.
func unified(files []fix.Change) string {
	var b strings.Builder
	for _, c := range files {
		b.Write(diff.Diff("a/"+c.File, c.Before, "b/"+c.File, c.After))
	}
	return b.String()
}

// requestAnswer is the JSON of an answer for one request.
type requestAnswer struct {
	Reached bool             `json:"reached"`
	Answer  *answer.Answer   `json:"answer"`
	Changes []permittingEdit `json:"changes,omitempty"` // after which it is let in, the smallest first
}

type permittingEdit struct {
	Steps   []string             `json:"steps"`
	Diff    string               `json:"diff"`
	Wider   bool                 `json:"wider,omitempty"`        // it lets in all that the first does, and more
	Changes *show.AccessDocument `json:"reachChanges,omitempty"` // of the service that was asked for
	// Elsewhere is what changes about other services.
	Elsewhere []*show.AccessDocument `json:"reachElsewhere,omitempty"`
}

func requestDocument(got *answer.Answer, there bool, changes []permit.Change) *requestAnswer {
	out := &requestAnswer{Reached: there, Answer: got}
	for _, c := range changes {
		edit := permittingEdit{Steps: c.Steps, Diff: unified(c.Files), Wider: c.Wider}
		for i, a := range c.Access {
			if doc := show.AccessJSON(a, true); i == 0 {
				edit.Changes = doc
			} else {
				edit.Elsewhere = append(edit.Elsewhere, doc)
			}
		}
		out.Changes = append(out.Changes, edit)
	}
	return out
}
