// Package signature says who signed a commit or a tag of Git. What is verified
// are the bytes of the object as it is stored, without its signature; an object
// that Git itself would not have written is refused before any signature is
// looked at, so that nobody can read it in two ways.
package signature

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrUnsigned says that an object carries no signature.
	ErrUnsigned = errors.New("is not signed")
	// ErrUnknownKey says that the key of a signature is not among those trusted.
	ErrUnknownKey = errors.New("is signed by a key that is not trusted")
	// ErrInvalid says that a signature by a trusted key does not hold.
	ErrInvalid = errors.New("has a signature that does not hold")
	// ErrMalformed says that an object or a signature is not as Git writes it.
	ErrMalformed = errors.New("malformed")
)

// Object is a commit or an annotated tag, taken apart for its signature.
type Object struct {
	Parents   []string  // of a commit
	Target    string    // of a tag
	Type      string    // of the target of a tag: "commit", "tag", …
	Name      string    // of a tag, as it says itself
	When      time.Time // of the committer or tagger
	Payload   []byte    // what was signed
	Signature []byte    // armored; nil when there is none
}

// header is one header with the lines that continue it.
type header struct {
	key, value string
	from, to   int // of the raw object
	lines      int
}

// ParseCommit takes the content of a commit object apart (git-commit-tree(1)):
// tree, parents, author and committer once each and in this order, then any other
// headers. The error wraps ErrMalformed.
func ParseCommit(raw []byte) (*Object, error) {
	headers, _, err := split(raw)
	if err != nil {
		return nil, fmt.Errorf("commit object: %w", err)
	}
	o := &Object{}
	rest, err := o.fixed(headers)
	if err == nil {
		err = o.others(raw, rest)
	}
	if err != nil {
		return nil, fmt.Errorf("commit object: %w: %w", ErrMalformed, err)
	}
	return o, nil
}

// fixed reads the headers that every commit has and gives those after them.
func (o *Object) fixed(headers []header) ([]header, error) {
	next := func(key string) (header, bool) {
		if len(headers) == 0 || headers[0].key != key || headers[0].lines != 1 {
			return header{}, false
		}
		h := headers[0]
		headers = headers[1:]
		return h, true
	}
	if tree, ok := next("tree"); !ok || !isHash(tree.value) {
		return nil, errors.New("it does not begin with its tree")
	}
	for {
		parent, ok := next("parent")
		if !ok {
			break
		}
		if !isHash(parent.value) {
			return nil, errors.New("a parent is not a hash")
		}
		o.Parents = append(o.Parents, parent.value)
	}
	if _, ok := next("author"); !ok {
		return nil, errors.New("no author stands after its parents")
	}
	committer, ok := next("committer")
	if !ok {
		return nil, errors.New("no committer stands after its author")
	}
	var err error
	o.When, err = when(committer.value)
	return headers, err
}

// others finds the signature among the headers that a commit may have.
func (o *Object) others(raw []byte, headers []header) error {
	o.Payload = raw
	for i, h := range headers {
		switch h.key {
		case "tree", "parent", "author", "committer":
			return fmt.Errorf("header %q stands where it must not", h.key)
		case "gpgsig-sha256":
			return errors.New("header \"gpgsig-sha256\" is not covered by the signature")
		case "gpgsig":
			if o.Signature != nil {
				return errors.New("it has more than one signature")
			}
			o.Signature = []byte(h.value)
			o.Payload = slices.Concat(raw[:h.from], raw[h.to:])
		case "mergetag": // of each tag that was merged
		default:
			if slices.ContainsFunc(headers[:i], func(o header) bool { return o.key == h.key }) {
				return fmt.Errorf("header %q stands in it twice", h.key)
			}
		}
	}
	return nil
}

// marks begin the signatures that Git knows; the last two are never trusted.
var marks = []string{
	"-----BEGIN PGP SIGNATURE-----", "-----BEGIN SSH SIGNATURE-----", "-----BEGIN PGP MESSAGE-----", "-----BEGIN SIGNED MESSAGE-----",
}

// ParseTag takes the content of an annotated tag apart (git-mktag(1)). Its
// signature stands at the end of its message. The error wraps ErrMalformed.
func ParseTag(raw []byte) (*Object, error) {
	headers, body, err := split(raw)
	if err != nil {
		return nil, fmt.Errorf("tag object: %w", err)
	}
	keys := []string{"object", "type", "tag", "tagger"}
	if len(headers) != len(keys) {
		return nil, fmt.Errorf("tag object: %w: it has %d headers, not object, type, tag and tagger", ErrMalformed, len(headers))
	}
	for i, h := range headers {
		if h.key != keys[i] || h.lines != 1 {
			return nil, fmt.Errorf("tag object: %w: header %q stands where %q must", ErrMalformed, h.key, keys[i])
		}
	}
	o := &Object{Target: headers[0].value, Type: headers[1].value, Name: headers[2].value, Payload: raw}
	if !isHash(o.Target) {
		return nil, fmt.Errorf("tag object: %w: its target is not a hash", ErrMalformed)
	}
	if o.When, err = when(headers[3].value); err != nil {
		return nil, fmt.Errorf("tag object: %w: %w", ErrMalformed, err)
	}
	for at := body; at < len(raw); {
		line := raw[at:]
		if slices.ContainsFunc(marks, func(m string) bool { return bytes.HasPrefix(line, []byte(m)) }) {
			if o.Signature != nil {
				return nil, fmt.Errorf("tag object: %w: it has more than one signature", ErrMalformed)
			}
			o.Payload, o.Signature = raw[:at], line
		}
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			break
		}
		at += end + 1
	}
	return o, nil
}

// split gives the headers of an object and where its message begins.
func split(raw []byte) (headers []header, body int, err error) {
	if bytes.IndexByte(raw, 0) >= 0 {
		return nil, 0, fmt.Errorf("%w: it holds a NUL byte", ErrMalformed)
	}
	for at := 0; ; {
		end := bytes.IndexByte(raw[at:], '\n')
		if end < 0 {
			return nil, 0, fmt.Errorf("%w: its headers do not end", ErrMalformed)
		}
		line, next := string(raw[at:at+end]), at+end+1
		switch {
		case line == "":
			return headers, next, nil
		case line[0] == ' ' && len(headers) > 0:
			h := &headers[len(headers)-1]
			h.value += "\n" + line[1:]
			h.to = next
			h.lines++
		default:
			key, value, found := strings.Cut(line, " ")
			if !found || key == "" {
				return nil, 0, fmt.Errorf("%w: %.20q is not a header", ErrMalformed, line)
			}
			headers = append(headers, header{key: key, value: value, from: at, to: next, lines: 1})
		}
		at = next
	}
}

func isHash(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}

// when reads the time of "name <address> seconds zone".
func when(ident string) (time.Time, error) {
	_, stamp, found := strings.Cut(ident, "> ")
	seconds, zone, two := strings.Cut(stamp, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if !found || !two || err != nil || unix < 0 || len(zone) != 5 {
		return time.Time{}, fmt.Errorf("%.60q is not a person and a time", ident)
	}
	return time.Unix(unix, 0).UTC(), nil
}
