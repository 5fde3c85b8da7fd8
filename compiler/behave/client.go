package behave

import (
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// client is who calls: anybody, whose identity and address are coordinates of
// the request, or somebody known.
type client interface {
	unknown() reach.Pred // it has no identity
	takenBy(r *model.Rule, domain string) reach.Pred
}

// anybody may call.
type anybody struct{}

func (anybody) unknown() reach.Pred { return reach.Absent(identity) }

func (anybody) takenBy(r *model.Rule, domain string) reach.Pred { return reach.OfCaller(r, domain) }

// known is a client with this SPIFFE ID, "" for none: a gateway, or whoever
// calls in plaintext.
type known string

func (k known) unknown() reach.Pred { return truth(k == "") }

func (k known) takenBy(r *model.Rule, domain string) reach.Pred {
	return truth(r.TakesCaller(domain, string(k)))
}

func truth(holds bool) reach.Pred {
	if holds {
		return reach.All()
	}
	return reach.Any()
}

// domainOf a SPIFFE ID.
func domainOf(id string) string {
	domain, _, _ := strings.Cut(strings.TrimPrefix(id, "spiffe://"), "/")
	return domain
}
