package main

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/reconciler/checkup"
)

// expiryFlags say which certificates check looks at outside of a cluster.
type expiryFlags struct{ admin, secrets string }

func (f *expiryFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.admin, "admin", "", "look at the keys of the authority of the controller with this --admin: path of a Unix socket, or address")
	fl.StringVar(&f.secrets, "secrets-dir", "", "look at the certificates in the --secrets-dir of a proxy")
}

func (f *expiryFlags) given() bool { return f.admin != "" || f.secrets != "" }

// look tells which of the certificates are late.
func (f *expiryFlags) look(ctx context.Context, now time.Time) ([]checkup.Finding, error) {
	var found []checkup.Finding
	if f.admin != "" {
		s, err := (&caClient{admin: f.admin}).call(ctx, http.MethodGet, "/ca", nil)
		if err != nil {
			return nil, err
		}
		found = append(found, ofAuthority(s, now)...)
	}
	if f.secrets != "" {
		files, err := checkup.Files(f.secrets, now)
		if err != nil {
			return nil, err
		}
		found = append(found, files...)
	}
	return found, nil
}

// ofAuthority tells of the keys that sign, or will; a retired one signs no more.
func ofAuthority(s *ca.Status, now time.Time) []checkup.Finding {
	var found []checkup.Finding
	for _, k := range s.Keys {
		role := checkup.Issuer
		if k.Kind == "root" {
			role = checkup.Root
		}
		switch {
		case k.Tainted:
			found = append(found, checkup.Finding{
				What: k.Kind + " " + k.Name, State: checkup.Bad, Detail: "others may know its key", Fix: "meshc ca status says how far its replacement is",
			})
		case k.State == "retired" || k.NotAfter.IsZero():
		default:
			f := checkup.Expiry(role, k.Name, k.NotBefore, k.NotAfter, now)
			if f.State == checkup.Bad && !k.Held {
				f.Detail += "; its key is not here"
			}
			found = append(found, f)
		}
	}
	return found
}
