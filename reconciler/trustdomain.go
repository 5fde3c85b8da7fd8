package reconciler

import (
	"errors"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/reconciler/status"
)

// OtherTrustDomain says, with the place where it is written, that a commit is of
// another trust domain than what runs. Where says in words what runs.
func OtherTrustDomain(res *compiler.Result, runs, where string) diag.Diagnostic {
	var at diag.Range
	if res.Intent != nil {
		at = res.Intent.Config.At
		if written := res.Intent.Config.TrustDomain; written != nil {
			at = written.At
		}
	}
	d := diag.New(diag.TrustDomainChanged, at, "trustDomain is %q, and %s is of %q", res.Model.TrustDomain, where, runs)
	d.Help = fmt.Sprintf("set trustDomain to %q; to begin anew with other identities, end the mesh, move its state directory away and start it again", runs)
	return d
}

// ofTrustDomain refuses a commit of another trust domain than the controller's.
func (r *Reconciler) ofTrustDomain(res *compiler.Result) failure {
	if res.Model.TrustDomain == r.opts.TrustDomain {
		return failure{}
	}
	d := OtherTrustDomain(res, r.opts.TrustDomain, "the controller with its certificate authority")
	found := status.Diagnostics(diag.List{d})
	r.status.Attempted.Diagnostics = append(found, r.status.Attempted.Diagnostics...)
	return failure{reason: "TrustDomainMismatch", err: errors.New(summary(found))}
}

// ofAliases refuses a commit with an alias of the trust domain whose roots proxies
// are not given: it would do nothing.
func (r *Reconciler) ofAliases(res *compiler.Result) failure {
	for _, alias := range res.Model.Aliases {
		if slices.Contains(r.opts.Vouched, alias) {
			continue
		}
		var at diag.Range
		if res.Intent != nil {
			at = res.Intent.Config.At
			for _, written := range res.Intent.Config.Aliases {
				if written.V == alias {
					at = written.At
				}
			}
		}
		d := diag.New(diag.AliasUnvouched, at, "%q is an alias of the trust domain, and the controller has no roots of it", alias)
		d.Help = "start the controller (or `meshc up`) with --alias-roots FILE"
		found := status.Diagnostics(diag.List{d})
		r.status.Attempted.Diagnostics = append(found, r.status.Attempted.Diagnostics...)
		return failure{reason: "AliasWithoutRoots", err: errors.New(summary(found))}
	}
	return failure{}
}

// WrongStateError says that what is kept is of another trust domain than the one
// that a controller was started with, and what to do.
type WrongStateError struct{ Saved, Wanted string }

// Error is for people.
func (e *WrongStateError) Error() string {
	return fmt.Sprintf("the mesh in the state directory is of the trust domain %q, and this controller was started for %q: start it with --trust-domain=%s, or, to begin anew with other identities, move the state directory away, with the certificate authority in it", e.Saved, e.Wanted, e.Saved)
}

// WrongState gives a WrongStateError.
func WrongState(saved, wanted string) error { return &WrongStateError{saved, wanted} }
