package federation

import "net/http"

// Handler is the bundle endpoint (SPIFFE Federation, section 5): GET / gives what
// document does, a bundle in the SPIFFE bundle format. Bundles are public.
func Handler(document func() ([]byte, error)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		data, err := document()
		if err != nil {
			http.Error(w, "the bundle cannot be written", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(data) // a reader that has gone is not our concern
	})
	return mux
}
