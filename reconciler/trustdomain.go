package reconciler

import (
	"errors"
	"fmt"

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

// WrongState says that a state directory is of another trust domain than the one
// a controller was started with, and what to do.
func WrongState(saved, wanted string) error {
	return fmt.Errorf("the mesh in the state directory is of the trust domain %q, and this controller was started for %q: start it with --trust-domain=%s, or, to begin anew with other identities, move the state directory away, with the certificate authority in it", saved, wanted, saved)
}
