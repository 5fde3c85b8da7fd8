package model

import (
	"fmt"
	"strings"
	"time"
)

// Authorizer is a service that is asked about every request that has passed the
// tokens, before rules are.
type Authorizer struct {
	Service  Ref
	Port     uint16
	Version  string
	Timeout  time.Duration
	FailOpen bool     // requests go on when it does not answer
	Headers  []string // that it is told, in lower case, sorted; empty = all
	On       []Rule   // that it is asked about, any-of; empty = all
	Except   []Rule   // that it is not asked about, any-of
	MaxBody  uint32   // bytes of the body that it is told; 0 = none
	Origin   Origin
}

// Settings lists what a sets, in the order of the schema; nothing for nil.
func (a *Authorizer) Settings() []Setting {
	if a == nil {
		return nil
	}
	s := &settings{at: a.Origin}
	s.add("service", a.Service.String())
	s.add("port", fmt.Sprint(a.Port))
	s.span("timeout", a.Timeout)
	s.add("failOpen", fmt.Sprint(a.FailOpen))
	s.add("headers", strings.Join(a.Headers, ", "))
	s.number("maxBody", a.MaxBody)
	return s.list
}

// Some says that it is not asked about every request.
func (a *Authorizer) Some() bool { return a != nil && len(a.On)+len(a.Except) > 0 }

// String says who is asked, and what if there is no answer.
func (a *Authorizer) String() string {
	verdict := "refuses when there is no answer"
	if a.FailOpen {
		verdict = "lets in when there is no answer"
	}
	return fmt.Sprintf("%s:%d is asked, and the proxy %s after %s", a.Service, a.Port, verdict, a.Timeout)
}
