package expect

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// Command is the command line of `meshc route` that asks about a request of from.
func Command(from model.Ref, q *reach.Request) string {
	words := []string{"meshc", "route", "--from", from.String()}
	if q.Method != "GET" {
		words = append(words, "-X", quote(q.Method))
	}
	for _, h := range q.Fields() {
		words = append(words, "-H", quote(h.Name+": "+h.Value))
	}
	for _, c := range q.Claims {
		if _, claim := model.SplitClaim(c.Name); claim == "" {
			words = append(words, "--claim", quote(c.Name))
			continue
		}
		words = append(words, "--claim", quote(c.Name+"="+c.Value))
	}
	if q.Address != "" {
		words = append(words, "--ip", quote(q.Address))
	}
	if q.Client != "" {
		words = append(words, "--client-ip", quote(q.Client))
	}
	url := fmt.Sprintf("%s://%s:%d%s", q.Scheme, q.Host, q.Port, q.Target())
	return strings.Join(append(words, quote(url)), " ")
}

// quote makes one word of a POSIX shell.
func quote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,@%+="
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
