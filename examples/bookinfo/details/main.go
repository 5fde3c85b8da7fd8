// Command details knows the facts about a book.
package main

import (
	"net/http"

	"github.com/meshc/meshc/examples/bookinfo/internal/app"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /details/{id}", func(w http.ResponseWriter, r *http.Request) {
		app.Reply(w, map[string]any{
			"id": r.PathValue("id"), "author": "William Shakespeare", "year": 1595, "type": "paperback",
			"pages": 200, "publisher": "PublisherA", "language": "English", "ISBN-10": "1234567890",
		})
	})
	app.Serve(mux)
}
