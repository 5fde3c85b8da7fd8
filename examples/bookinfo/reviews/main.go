// Command reviews has the reviews of a book. VERSION v1 shows no stars, v2
// black stars, v3 red stars; v2 and v3 ask the ratings service for them.
package main

import (
	"net/http"
	"os"

	"github.com/meshc/meshc/examples/bookinfo/internal/app"
)

// Review is one review; Rating is nil when stars are not shown.
type Review struct {
	Reviewer string  `json:"reviewer"`
	Text     string  `json:"text"`
	Rating   *Rating `json:"rating,omitempty"`
}

// Rating is a number of stars, or why it is not known.
type Rating struct {
	Stars int    `json:"stars,omitempty"`
	Color string `json:"color,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	version := os.Getenv("VERSION")
	color := map[string]string{"v2": "black", "v3": "red"}[version]
	var ratings *app.Client
	if color != "" {
		ratings = app.NewClient(app.Env("RATINGS_URL"))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reviews/{id}", func(w http.ResponseWriter, r *http.Request) {
		reviews := []Review{
			{Reviewer: "Reviewer1", Text: "An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!"},
			{Reviewer: "Reviewer2", Text: "Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays by Shakespeare."},
		}
		if ratings != nil {
			rate(r, ratings, color, reviews)
		}
		app.Reply(w, map[string]any{"id": r.PathValue("id"), "version": version, "reviews": reviews})
	})
	app.Serve(mux)
}

// rate fills in the stars; a failing ratings service costs the stars, not the
// page.
func rate(r *http.Request, ratings *app.Client, color string, reviews []Review) {
	var got struct {
		Ratings map[string]int `json:"ratings"`
	}
	err := ratings.Get(r, "/ratings/"+r.PathValue("id"), &got)
	for i := range reviews {
		if err != nil {
			reviews[i].Rating = &Rating{Error: "Ratings service is currently unavailable: " + err.Error()}
			continue
		}
		reviews[i].Rating = &Rating{Stars: got.Ratings[reviews[i].Reviewer], Color: color}
	}
}
