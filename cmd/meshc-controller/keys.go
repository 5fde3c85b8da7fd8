package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/meshc/meshc/ca"
)

// keysHandler adds what is told and done of the authority's keys: GET /ca, GET
// /bundle, GET /metrics, and, by way of a socket that only its owner can open, POST
// /ca/rotate and POST /ca/taint.
func keysHandler(mux *http.ServeMux, authority *ca.Authority, private bool) {
	mux.HandleFunc("GET /ca", func(w http.ResponseWriter, _ *http.Request) { writeKeys(w, authority) })
	mux.HandleFunc("GET /bundle", func(w http.ResponseWriter, _ *http.Request) {
		document, err := authority.BundleDocument()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document) // a reader that has gone is not our concern
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { serveKeyMetrics(w, authority) })
	change := func(does func(*http.Request) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !private {
				http.Error(w, "the authority's keys are changed by way of a Unix socket only (--admin PATH)", http.StatusForbidden)
				return
			}
			err := does(r)
			switch {
			case errors.Is(err, ca.ErrRotating), errors.Is(err, ca.ErrMounted), errors.Is(err, ca.ErrNoKey):
				http.Error(w, err.Error(), http.StatusConflict)
			case errors.Is(err, ca.ErrReason):
				http.Error(w, err.Error(), http.StatusBadRequest)
			case err != nil:
				http.Error(w, err.Error(), http.StatusInternalServerError)
			default:
				writeKeys(w, authority)
			}
		}
	}
	mux.HandleFunc("POST /ca/rotate", change(func(r *http.Request) error { return authority.Rotate(r.FormValue("kind")) }))
	mux.HandleFunc("POST /ca/taint", change(func(r *http.Request) error { return authority.Taint(r.FormValue("key"), r.FormValue("reason")) }))
}

func serveKeyMetrics(w http.ResponseWriter, authority *ca.Authority) {
	s, err := authority.Status()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	writeKeyMetrics(w, s)
}

func writeKeys(w http.ResponseWriter, authority *ca.Authority) {
	s, err := authority.Status()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s) // a reader that has gone is not our concern
}

// writeKeyMetrics says, for each certificate of the authority, how long it lasts.
func writeKeyMetrics(w io.Writer, s *ca.Status) {
	fmt.Fprint(w, "# HELP meshc_cert_expiry_seconds Time until a certificate of the authority ends.\n# TYPE meshc_cert_expiry_seconds gauge\n")
	for _, k := range s.Keys {
		if !k.NotAfter.IsZero() {
			fmt.Fprintf(w, "meshc_cert_expiry_seconds{kind=%q,name=%q,state=%q} %.0f\n", k.Kind, k.Name, k.State, time.Until(k.NotAfter).Seconds())
		}
	}
	rotating := 0
	if s.Rotation != nil {
		rotating = 1
	}
	fmt.Fprintf(w, "# HELP meshc_ca_rotating Whether a rotation is under way.\n# TYPE meshc_ca_rotating gauge\nmeshc_ca_rotating %d\n", rotating)
	fmt.Fprintf(w, "# HELP meshc_ca_bundle_sequence Sequence number of the trust bundle.\n# TYPE meshc_ca_bundle_sequence gauge\nmeshc_ca_bundle_sequence %d\n", s.Sequence)
}
