package answer

import (
	"fmt"
	"io"
	"strings"
)

// builtIn stands where no line of the mesh says it.
const builtIn = "built-in default"

// Text writes the answer for a reader.
func (a *Answer) Text(w io.Writer) error {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-15s%s\n", label, fmt.Sprintf(format, args...))
	}
	line("client", "%s %s  %s", a.Caller.Kind, a.Caller.Ref, a.Caller.SPIFFEID)
	line("request", "%s %s://%s:%d%s", a.Request.Method, a.Request.Spoken(), a.Request.Host, a.Request.Port, a.Request.Target)
	for _, c := range a.Claims {
		line("claim", "%s", c)
	}
	if a.Listener != "" {
		line("listener", "%s", a.Listener)
	}
	if a.HostPattern != "" {
		line("host", "%s", a.HostPattern)
	}
	for _, r := range a.Rules {
		a.ruleText(line, r)
	}
	if a.Route != nil {
		a.Route.text(line)
	}
	if c := a.Connection; c != nil && c.Server != "" {
		line("connection", "mTLS, peer must be %s (server: %s)", c.Server, c.MTLS)
		for _, s := range c.TLS {
			line("then by TLS", "%s %s", s.Name, s.Value)
		}
	} else if c != nil && len(c.TLS) > 0 {
		var parts []string
		for _, s := range c.TLS {
			parts = append(parts, s.Name+" "+s.Value)
		}
		line("connection", "TLS: %s", strings.Join(parts, ", "))
	} else if c != nil {
		line("connection", "plaintext (server: %s)", c.MTLS)
	}
	if t := a.Authentication; t != nil {
		line("token", "%s  %s%s", map[bool]string{true: "PASS", false: "401"}[t.Passed], t.Why, in(t.At))
	}
	for _, u := range a.Audited {
		line("audited", "by %s%s%s", u.By, u.Remark, in(u.At))
	}
	for _, q := range a.Asked {
		line("authorizer", "of %s: %s%s", q.By, q.Who, in(q.At))
	}
	if z := a.Authorization; z != nil {
		verdict := map[bool]string{true: "ALLOW", false: "DENY"}[z.Allowed]
		line("authorization", "%s  %s%s", verdict, z.Rule, in(z.At))
	}
	for _, r := range a.Raw {
		line("unknown", "patched by raw %q%s, which may change all of this", r.Name, in(r.At))
	}
	line("answer", "%s: %s", a.Outcome, a.Why)
	_, err := io.WriteString(w, b.String())
	return err
}

type printer func(label, format string, args ...any)

func (a *Answer) ruleText(line printer, r Rule) {
	verdict := "passes"
	if r.Took {
		verdict = "TAKES"
	}
	line("rule", "%q %s%s%s", r.Name, verdict, in(or(r.At, builtIn)), note(r.Why))
	for _, alt := range r.Alternatives {
		for _, c := range alt.Conditions {
			mark := "ok  "
			if !c.Holds {
				mark = "FAIL"
			}
			line("", "  %s %s  (got %s)", mark, c.Text, c.Got)
		}
		if len(alt.Conditions) == 0 {
			line("", "  ok   every request")
		}
	}
}

func (t *Taken) text(line printer) {
	for _, d := range t.Split {
		line("destination", "%s %% %s  %s%s", d.Percent, or(d.Version, "(external)"), d.Cluster, in(d.At))
		for _, s := range d.Traffic {
			line("", "  %s %s%s", s.Name, s.Value, in(or(s.At, builtIn)))
		}
	}
	for _, d := range t.Split {
		headerText(line, d.Version, d.RequestHeaders)
		headerText(line, d.Version, d.ResponseHeaders)
	}
	if t.Rewrite != nil {
		line("rewrite", "host %s, path %s", or(t.Rewrite.Host, "as sent"), or(t.Rewrite.Path, "as sent"))
	}
	for _, s := range t.More {
		line(s.Name, "%s%s", s.Value, in(s.At))
	}
	if t.Redirect != "" || t.Respond != "" {
		line("proxy", "answers %s%s%s", t.Redirect, t.Respond, in(t.At))
		headerText(line, "response", t.ResponseHeaders)
		return
	}
	line("timeout", "%s%s", t.Timeout, in(or(t.TimeoutAt, builtIn)))
	if t.MaxDuration != "" {
		line("max duration", "%s%s", t.MaxDuration, in(t.At))
	}
	if t.IdleTimeout != "" {
		line("idle timeout", "%s%s", t.IdleTimeout, in(t.At))
	}
	if len(t.Hash) > 0 {
		line("hash", "%s%s", strings.Join(t.Hash, ", "), in(t.At))
	}
	switch {
	case t.Retry == nil:
		line("retries", "none")
	case !t.Retry.Applies:
		line("retries", "none for this method%s", in(or(t.Retry.At, builtIn)))
	default:
		line("retries", "%d on %s%s%s", t.Retry.Attempts, strings.Join(t.Retry.On, ", "), perTry(t.Retry.PerTry), in(or(t.Retry.At, builtIn)))
	}
	if t.Retry != nil && t.Retry.Applies {
		for _, s := range t.Retry.More {
			line("", "  %s %s%s", s.Name, s.Value, in(s.At))
		}
	}
	for _, f := range t.Faults {
		state := "until " + f.Until
		if !f.Active {
			state = "ended " + f.Until
		}
		if f.MaxActive > 0 {
			state = fmt.Sprintf("at most %d at a time, %s", f.MaxActive, state)
		}
		line("fault", "%q %s for %s %%, %s%s", f.Name, f.What, f.Percent, state, in(f.At))
	}
	headerText(line, "request", t.RequestHeaders)
	headerText(line, "response", t.ResponseHeaders)
}

func headerText(line printer, which string, changes []HeaderChange) {
	for _, c := range changes {
		if c.Op == "remove" {
			line(which, "remove header %s", c.Name)
		} else {
			line(which, "%s header %s: %s", c.Op, c.Name, c.Value)
		}
	}
}

func perTry(d string) string {
	if d == "" {
		return ""
	}
	return ", " + d + " each"
}

func in(at string) string {
	if at == "" {
		return ""
	}
	return "  [" + at + "]"
}

func note(why string) string {
	if why == "" {
		return ""
	}
	return "  (" + why + ")"
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
