package artifact

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// manifestName is the list of the files that Write wrote, by digest.
const manifestName = ".meshc-manifest.json"

// manifest is that list.
type manifest struct {
	basis *Basis
	files []entry // by name
}

// entry is one file as it was left.
type entry struct {
	name string
	sum  string // SHA-256 of what was written
	made made
}

// made says what a file was made of, and how it looked then; the key is "" where
// that is not known.
type made struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	Time int64  `json:"time"` // of its last change, in nanoseconds
}

// Basis is what all files of a manifest were made of.
type Basis struct {
	// Model names the model, and the build of the compiler.
	Model string `json:"model"`
	// The files are the same at any time from At on and before Until; without one,
	// for ever.
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
}

// manifestJSON is how a manifest is written.
type manifestJSON struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Basis      *Basis            `json:"basis,omitempty"`
	Files      map[string]string `json:"files"` // path → SHA-256 of what was written
	Made       map[string]made   `json:"made,omitempty"`
}

// encode writes a manifest with a line for each file.
func (m *manifest) encode() ([]byte, error) {
	head, err := json.Marshal(manifestJSON{APIVersion: apiVersion, Kind: "Manifest", Basis: m.basis})
	if err != nil {
		return nil, err
	}
	out := slices.Grow(bytes.TrimSuffix(head, []byte("null}")), 256*len(m.files))
	out = append(out, '{')
	sep := "\n"
	for _, e := range m.files {
		out = appendText(append(out, sep...), e.name)
		out = appendText(append(out, ':'), e.sum)
		sep = ",\n"
	}
	out = append(out, madeBegin...)
	sep = "\n"
	for _, e := range m.files {
		if e.made.Key != "" {
			out = appendText(append(out, sep...), e.name)
			out = appendText(append(out, keyBegin...), e.made.Key)
			out = strconv.AppendInt(append(out, sizeBegin...), e.made.Size, 10)
			out = strconv.AppendInt(append(out, timeBegin...), e.made.Time, 10)
			out = append(out, '}')
			sep = ",\n"
		}
	}
	return append(out, manifestEnd...), nil
}

// What stands between the values of a manifest as encode writes it.
const (
	filesBegin  = `"files":{`
	madeBegin   = "\n},\"made\":{"
	keyBegin    = `:{"key":`
	sizeBegin   = `,"size":`
	timeBegin   = `,"time":`
	manifestEnd = "\n}}\n"
)

// appendText writes a text as JSON.
func appendText(out []byte, s string) []byte {
	if strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"\<>&`, r) }) < 0 {
		return append(append(append(out, '"'), s...), '"')
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("artifact: a text has no JSON: " + err.Error())
	}
	return append(out, quoted...)
}

// decodeManifest reads a manifest. What encode has written is read line by line:
// of a Write that changes little, encoding/json would take the larger part.
func decodeManifest(raw []byte) (manifest, error) {
	if m, ok := readLines(string(raw)); ok {
		return m, nil
	}
	var j manifestJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return manifest{}, err
	}
	m := manifest{basis: j.Basis}
	for _, name := range slices.Sorted(maps.Keys(j.Files)) {
		m.files = append(m.files, entry{name, j.Files[name], j.Made[name]})
	}
	return m, nil
}

// readLines reads what encode has written, of names and digests that need no
// escapes. Whatever else it is given, it is not ok, or what encoding/json says.
func readLines(text string) (m manifest, ok bool) {
	at := strings.Index(text, filesBegin)
	if at < 0 {
		return m, false
	}
	var head manifestJSON
	if json.Unmarshal([]byte(text[:at]+filesBegin+"}}"), &head) != nil || len(head.Files)+len(head.Made) > 0 {
		return m, false
	}
	m.basis = head.Basis
	s := scanner{rest: text[at+len(filesBegin):]}
	m.files = make([]entry, 0, strings.Count(s.rest, "\n")/2)
	for sep := "\n"; !s.failed && !s.next(madeBegin); sep = ",\n" {
		s.must(sep)
		e := entry{name: s.text()}
		s.must(":")
		e.sum = s.text()
		if n := len(m.files); n > 0 && m.files[n-1].name >= e.name {
			return manifest{}, false
		}
		m.files = append(m.files, e)
	}
	i := 0
	for sep := "\n"; !s.failed && !s.next(manifestEnd); sep = ",\n" {
		s.must(sep)
		name := s.text()
		for i < len(m.files) && m.files[i].name != name {
			i++
		}
		if i == len(m.files) {
			return manifest{}, false
		}
		s.must(keyBegin)
		m.files[i].made.Key = s.text()
		s.must(sizeBegin)
		m.files[i].made.Size = s.number()
		s.must(timeBegin)
		m.files[i].made.Time = s.number()
		s.must("}")
		i++
	}
	return m, !s.failed && s.rest == ""
}

// scanner reads a text from its beginning.
type scanner struct {
	rest   string
	failed bool
}

// next takes a token if it comes next.
func (s *scanner) next(token string) bool {
	rest, ok := strings.CutPrefix(s.rest, token)
	s.rest = rest
	return ok
}

func (s *scanner) must(token string) { s.failed = !s.next(token) || s.failed }

// text takes a text without escapes.
func (s *scanner) text() string {
	s.must(`"`)
	n := strings.IndexByte(s.rest, '"')
	if s.failed || n < 0 || strings.ContainsFunc(s.rest[:n], func(r rune) bool { return r < ' ' || r == '\\' || r >= 0x7f }) {
		s.failed = true
		return ""
	}
	out := s.rest[:n]
	s.rest = s.rest[n+1:]
	return out
}

// number takes a number as strconv writes it.
func (s *scanner) number() int64 {
	n := strings.IndexFunc(s.rest, func(r rune) bool { return r != '-' && (r < '0' || r > '9') })
	if s.failed || n < 0 {
		s.failed = true
		return 0
	}
	out, err := strconv.ParseInt(s.rest[:n], 10, 64)
	s.failed = err != nil || s.rest[:n] != strconv.FormatInt(out, 10)
	s.rest = s.rest[n:]
	return out
}
