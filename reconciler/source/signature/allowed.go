package signature

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"crypto/rsa"

	"golang.org/x/crypto/ssh"
)

// allowedSigner is one line of a file of allowed signers.
type allowedSigner struct {
	principals string
	key        ssh.PublicKey
	namespaces string    // a list of patterns; "" for all
	after      time.Time // zero: any
	before     time.Time
}

// parseAllowedSigners follows ALLOWED SIGNERS of ssh-keygen(1). Certificate
// authorities are refused by name.
func parseAllowedSigners(data []byte) ([]allowedSigner, error) {
	var out []allowedSigner
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := parseAllowedSigner(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func parseAllowedSigner(line string) (s allowedSigner, err error) {
	principals, rest, err := word(line)
	if err != nil {
		return s, err
	}
	if s.principals = strings.ReplaceAll(principals, `"`, ""); s.principals == "" {
		return s, errors.New("no principals")
	}
	if s.key, err = parseKey(rest); err == nil {
		return s, sturdy(s.key)
	}
	options, afterOptions, werr := word(rest)
	if werr != nil {
		return s, werr
	}
	if key, kerr := parseKey(afterOptions); kerr == nil {
		s.key = key
		if err := s.options(options); err != nil {
			return s, err
		}
		return s, sturdy(s.key)
	}
	return s, err
}

// word cuts a line at the first blank that does not stand between quotes.
func word(line string) (first, rest string, err error) {
	line = strings.TrimLeft(line, " \t")
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line) && line[i+1] == '"':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t'):
			return line[:i], strings.TrimLeft(line[i:], " \t"), nil
		}
	}
	if quoted {
		return "", "", errors.New("a quote does not end")
	}
	return line, "", nil
}

// parseKey reads a type and a key in base64, with a comment behind it or without.
func parseKey(s string) (ssh.PublicKey, error) {
	fields := strings.Fields(s)
	if len(fields) < 2 {
		return nil, errors.New("no public key")
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return nil, errors.New("no public key in base64")
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, err
	}
	if key.Type() != fields[0] {
		return nil, fmt.Errorf("the key is of type %s and not %s", key.Type(), fields[0])
	}
	return key, nil
}

// sturdy refuses keys whose signatures can be forged, and those that are not keys
// of a person.
func sturdy(key ssh.PublicKey) error {
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		if public, ok := key.(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey); !ok || public.N.BitLen() < 2048 {
			return errors.New("the RSA key is shorter than 2048 bits")
		}
		return nil
	}
	return fmt.Errorf("keys of type %s are not trusted", key.Type())
}

func (s *allowedSigner) options(list string) error {
	for list != "" {
		var option string
		option, list = cutOption(list)
		name, value, _ := strings.Cut(option, "=")
		value = unquote(value)
		var err error
		switch strings.ToLower(name) {
		case "namespaces":
			if s.namespaces = value; value == "" {
				err = errors.New("it is empty")
			}
		case "valid-after":
			s.after, err = parseTime(value)
		case "valid-before":
			s.before, err = parseTime(value)
		case "cert-authority":
			err = errors.New("certificates are not supported: list the keys themselves")
		default:
			err = errors.New("it is not supported")
		}
		if err != nil {
			return fmt.Errorf("option %q: %w", name, err)
		}
	}
	if !s.after.IsZero() && !s.before.IsZero() && !s.after.Before(s.before) {
		return errors.New("valid-after is not before valid-before")
	}
	return nil
}

// cutOption cuts at the first comma that does not stand between quotes.
func cutOption(list string) (first, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\' && i+1 < len(list) && list[i+1] == '"':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return list, ""
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	return strings.ReplaceAll(s, `\"`, `"`)
}

// parseTime reads YYYYMMDD[HHMM[SS]][Z], local without the Z.
func parseTime(s string) (time.Time, error) {
	digits, utc := strings.CutSuffix(strings.ToUpper(s), "Z")
	zone := time.Local
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) == len(digits) {
			return time.ParseInLocation(layout, digits, zone)
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time, YYYYMMDD[HHMM[SS]][Z]", s)
}

// allow gives the first line that lets a key sign for Git at a time. The error
// says why no line does, and is for standing behind the name of the key.
func (k *Keys) allow(key ssh.PublicKey, at time.Time) (*allowedSigner, error) {
	blob := key.Marshal()
	why := ""
	for i := range k.allowed {
		s := &k.allowed[i]
		switch {
		case !bytes.Equal(s.key.Marshal(), blob):
		case s.namespaces != "" && !matches(s.namespaces, namespace):
			why = fmt.Sprintf(" is allowed for the namespaces %q and not for %q", s.namespaces, namespace)
		case !s.after.IsZero() && at.Before(s.after):
			why = fmt.Sprintf(" is valid from %s on, and signed at %s", s.after.Format(time.RFC3339), at.Format(time.RFC3339))
		case !s.before.IsZero() && at.After(s.before):
			why = fmt.Sprintf(" was valid until %s, and signed at %s", s.before.Format(time.RFC3339), at.Format(time.RFC3339))
		default:
			return s, nil
		}
	}
	return nil, errors.New(why)
}

// matches follows PATTERNS of ssh_config(5): a list in which one that begins with
// "!" and fits decides against.
func matches(list, s string) bool {
	found := false
	for pattern := range strings.SplitSeq(list, ",") {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if !wildcard(pattern, s) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

// wildcard knows * and ?.
func wildcard(pattern, s string) bool {
	for i := 0; i < len(pattern); i++ {
		switch {
		case pattern[i] == '*':
			for j := 0; j <= len(s); j++ {
				if wildcard(pattern[i+1:], s[j:]) {
					return true
				}
			}
			return false
		case s == "" || pattern[i] != '?' && pattern[i] != s[0]:
			return false
		}
		s = s[1:]
	}
	return s == ""
}
