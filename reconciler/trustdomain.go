package reconciler

import (
	"errors"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/reconciler/status"
)

// ForeignTrust says what keeps a mesh from running in a controller of a trust domain
// that has roots of the aliases vouched: that it is of another trust domain, or which of
// its aliases proxies would be given no roots of.
func ForeignTrust(res *compiler.Result, trustDomain string, vouched []string) diag.List {
	if res.Model.TrustDomain != trustDomain {
		return diag.List{OtherTrustDomain(res, trustDomain, "the controller with its certificate authority")}
	}
	return unvouched(res, vouched)
}

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

// unvouched are the aliases of the trust domain whose roots proxies are not given:
// they would do nothing.
func unvouched(res *compiler.Result, vouched []string) diag.List {
	var out diag.List
	for _, alias := range res.Model.Aliases {
		if slices.Contains(vouched, alias) {
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
		out.Add(d)
	}
	return out
}

// ofTrust refuses a commit that does not fit the trust domain of the controller, and
// the roots that it has.
func (r *Reconciler) ofTrust(res *compiler.Result) failure {
	refused := ForeignTrust(res, r.opts.TrustDomain, r.opts.Vouched)
	if len(refused) == 0 {
		return failure{}
	}
	found := status.Diagnostics(refused)
	r.status.Attempted.Diagnostics = append(found, r.status.Attempted.Diagnostics...)
	reason := "AliasWithoutRoots"
	if refused[0].Code == diag.TrustDomainChanged {
		reason = "TrustDomainMismatch"
	}
	return failure{reason: reason, err: errors.New(summary(found))}
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
