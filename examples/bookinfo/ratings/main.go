// Command ratings knows how many stars each reviewer gave.
package main

import (
	"net/http"

	"github.com/meshc/meshc/examples/bookinfo/internal/app"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ratings/{id}", func(w http.ResponseWriter, r *http.Request) {
		app.Reply(w, map[string]any{"id": r.PathValue("id"), "ratings": map[string]int{"Reviewer1": 5, "Reviewer2": 4}})
	})
	app.Serve(mux)
}
