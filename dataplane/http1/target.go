package http1

import (
	"strings"

	"github.com/meshc/meshc/dataplane/message"
)

var (
	errTarget      = bad("invalid_request_target")
	errAmbiguous   = bad("ambiguous_path")
	errAbsolute    = bad("absolute_form_does_not_match_host")
	errHost        = bad("invalid_host")
	errNoHost      = bad("missing_host")
	errTwoHosts    = bad("duplicate_host")
	errNoConnect   = &Error{Status: 501, Detail: "connect_not_supported"}
	errNoTrace     = &Error{Status: 405, Detail: "trace_not_allowed"}
	errMethod      = bad("invalid_method")
	errVersion     = &Error{Status: 505, Detail: "http_version_not_supported"}
	errRequestLine = bad("invalid_request_line")
)

// setTarget checks the request target (RFC 9112 §3.2) and brings it to origin
// form. host is the Host field; in absolute form the two must agree, so that no
// reader can take one for the other.
func setTarget(r *Request, target, host string) *Error {
	switch {
	case target[0] == '/':
		r.Target = target
	case target == "*" && r.Method == "OPTIONS":
		r.Target = "*"
		return nil
	default:
		path, err := fromAbsolute(r, target, host)
		if err != nil {
			return err
		}
		r.Target = path
		if path == "*" {
			return nil
		}
	}
	if message.AmbiguousPath(r.Path()) {
		return errAmbiguous
	}
	return nil
}

func fromAbsolute(r *Request, target, host string) (string, *Error) {
	i := strings.Index(target, "://")
	if i < 0 || !equalFold(target[:i], r.Scheme) {
		return "", errTarget
	}
	rest := target[i+3:]
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if !foldEqual(rest[:end], host) {
		return "", errAbsolute
	}
	switch path := rest[end:]; {
	case path == "" && r.Method == "OPTIONS":
		return "*", nil
	case path == "":
		return "/", nil
	case path[0] == '?':
		return "", errTarget
	default:
		return path, nil
	}
}
