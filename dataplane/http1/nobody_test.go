package http1

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/dataplane/message"
)

func TestRequestWithoutContentSaysSo(t *testing.T) {
	for method, want := range map[string]bool{"POST": true, "PUT": true, "PATCH": true, "GET": false, "HEAD": false, "DELETE": false} {
		head := string(AppendRequest(nil, &message.Request{Method: method, Target: "/", Authority: "a"}, NoBody, 0))
		if got := strings.Contains(head, "\r\ncontent-length: 0\r\n"); got != want {
			t.Errorf("%s: %q", method, head)
		}
	}
}
