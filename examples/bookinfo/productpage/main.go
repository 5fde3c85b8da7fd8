// Command productpage shows a book: it asks details and reviews and puts both
// on one page, as HTML at /productpage and as JSON at /api/v1/products/0.
package main

import (
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/meshc/meshc/examples/bookinfo/internal/app"
)

type page struct {
	User    string          `json:"user,omitempty"`
	Details json.RawMessage `json:"details,omitempty"`
	Reviews reviews         `json:"reviews"`
	Errors  []string        `json:"errors,omitempty"`
}

type reviews struct {
	Version string   `json:"version"`
	Reviews []review `json:"reviews"`
}

type review struct {
	Reviewer string `json:"reviewer"`
	Text     string `json:"text"`
	Rating   *struct {
		Stars int    `json:"stars,omitempty"`
		Color string `json:"color,omitempty"`
		Error string `json:"error,omitempty"`
	} `json:"rating,omitempty"`
}

var html = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Simple Bookstore App</title></head><body>
<h1>The Comedy of Errors</h1>
<p>{{if .User}}signed in as {{.User}}{{else}}not signed in{{end}}</p>
{{range .Errors}}<p role="alert">{{.}}</p>{{end}}
<h2>Book Reviews (reviews {{.Reviews.Version}})</h2>
{{range .Reviews.Reviews}}<blockquote><p>{{.Text}}</p><footer>{{.Reviewer}}
{{with .Rating}}{{if .Error}}{{.Error}}{{else}}<span style="color:{{.Color}}">{{.Stars}} stars</span>{{end}}{{end}}</footer></blockquote>
{{end}}</body></html>
`))

func main() {
	details := app.NewClient(app.Env("DETAILS_URL"))
	revs := app.NewClient(app.Env("REVIEWS_URL"))
	gather := func(r *http.Request) (page, int) {
		p, status := page{User: r.Header.Get("end-user")}, http.StatusOK
		if err := details.Get(r, "/details/0", &p.Details); err != nil {
			p.Errors, status = append(p.Errors, "Error fetching product details: "+err.Error()), http.StatusServiceUnavailable
		}
		if err := revs.Get(r, "/reviews/0", &p.Reviews); err != nil {
			p.Errors, status = append(p.Errors, "Error fetching product reviews: "+err.Error()), http.StatusServiceUnavailable
		}
		return p, status
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /productpage", func(w http.ResponseWriter, r *http.Request) {
		p, status := gather(r)
		w.Header().Set("content-type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_ = html.Execute(w, p)
	})
	mux.HandleFunc("GET /api/v1/products/0", func(w http.ResponseWriter, r *http.Request) {
		p, status := gather(r)
		w.Header().Set("content-type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(p)
	})
	app.Serve(mux)
}
