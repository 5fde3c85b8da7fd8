package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	"github.com/go-jose/go-jose/v4"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
)

// signer is one key and its tokens, by another implementation.
type signer struct {
	alg     jose.SignatureAlgorithm
	private crypto.Signer
}

func (s signer) token(t testing.TB, kid string, claims map[string]any) string {
	t.Helper()
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: jose.JSONWebKey{Key: s.private, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := made.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	out, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s signer) jwks(t testing.TB, kid, alg string) []byte {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.private.Public(), KeyID: kid, Algorithm: alg, Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func signers(t testing.TB) []signer {
	t.Helper()
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	out := []signer{{jose.EdDSA, ed}}
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512} {
		out = append(out, signer{alg, short})
	}
	for alg, curve := range map[jose.SignatureAlgorithm]elliptic.Curve{jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521()} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, signer{alg, k})
	}
	return out
}

func TestAlgorithms(t *testing.T) {
	all := signers(t)
	for _, s := range all {
		text := s.token(t, "k", map[string]any{"sub": "ann"})
		for _, alg := range []string{"", string(s.alg)} {
			keys, err := ParseKeys(s.jwks(t, "k", alg))
			if err != nil {
				t.Fatalf("%s: %v", s.alg, err)
			}
			tok, why := parse(text)
			if why != fine || keys.verify(tok) != fine {
				t.Errorf("%s, key for %q: %q", s.alg, alg, why)
			}
			for at := len(text) - 1; at >= 0; at -= 1 + len(text)/20 { // nothing of it can be another
				changed := []byte(text)
				changed[at] ^= 4
				if tok, why := parse(string(changed)); why == fine && keys.verify(tok) == fine {
					t.Errorf("%s: verified with byte %d changed", s.alg, at)
				}
			}
		}
		for _, other := range all {
			if other.alg == s.alg {
				continue
			}
			keys, err := ParseKeys(other.jwks(t, "k", string(other.alg)))
			if err != nil {
				t.Fatal(err)
			}
			if tok, _ := parse(text); keys.verify(tok) == fine {
				t.Errorf("a key for %s verifies %s", other.alg, s.alg)
			}
		}
		keys, err := ParseKeys(s.jwks(t, "another", ""))
		if err != nil {
			t.Fatal(err)
		}
		if tok, _ := parse(text); keys.verify(tok) != noKeys {
			t.Errorf("%s: another kid: %q", s.alg, keys.verify(tok))
		}
	}
}

func encoded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestTokensThatAreNone(t *testing.T) {
	for text, want := range map[string]failure{
		"":                            malformed,
		"a.b":                         malformed,
		"a.b.c.d":                     malformed,
		"!." + encoded("{}") + ".":    badHeader,
		encoded("x") + ".e30.":        badHeader,
		encoded(`{"alg":1}`) + ".e30": malformed,
		encoded(`{"alg":"none"}`) + "." + encoded(`{}`) + ".":                      badAlgorithm,
		encoded(`{"alg":"HS256"}`) + "." + encoded(`{}`) + ".AA":                   badAlgorithm,
		encoded(`{}`) + "." + encoded(`{}`) + ".AA":                                badAlgorithm,
		encoded(`{"alg":"RS256","crit":["b64"]}`) + "." + encoded(`{}`) + ".AA":    badHeader,
		encoded(`{"alg":"RS256"}`) + "." + encoded(`[]`) + ".AA":                   badPayload,
		encoded(`{"alg":"RS256"}`) + "." + encoded(`{"sub":"a","sub":"b"}`) + ".A": badPayload,
		encoded(`{"alg":"RS256"}`) + "." + encoded(`{}`) + ".*":                    malformed,
	} {
		if _, got := parse(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestKeysThatAreNone(t *testing.T) {
	for raw, want := range map[string]string{
		`x`:                                   "JWKS: ",
		`{}`:                                  "it is empty",
		`{"keys":[]}`:                         "it is empty",
		`{"keys":[{"kty":"oct","k":"AAAA"}]}`: `kty "oct"`,
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`:              "n has 17 bits",
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"Ag"}]}`:                "e is out of range",
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}`:     "keys[0]",
		`{"keys":[{"kty":"EC","crv":"secp256k1","x":"AQ","y":"AQ"}]}`: `crv "secp256k1"`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQ"}]}`:           "crv",
		`{"keys":[{"kty":"RSA","use":"enc"}]}`:                        `use "enc"`,
		`{"keys":[{"kty":"RSA","key_ops":["encrypt"]}]}`:              "key_ops",
		`{"keys":[7]}`: "keys[0]",
	} {
		if _, err := ParseKeys([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		claims string
		want   failure
	}{
		{`{}`, fine}, {`{"exp": 940}`, fine}, {`{"exp": 939}`, expired}, {`{"nbf": 1060}`, fine}, {`{"nbf": 1061}`, notYet},
		{`{"exp": "soon"}`, badPayload}, {`{"nbf": -1}`, badPayload}, {`{"exp": null}`, badPayload}, {`{"nbf": 1, "exp": 2000}`, fine},
	} {
		tok := &token{claims: new(structpb.Struct)}
		if err := protojson.Unmarshal([]byte(c.claims), tok.claims); err != nil {
			t.Fatal(err)
		}
		if got := tok.inTime(1000, 60); got != c.want {
			t.Errorf("%s: %q, want %q", c.claims, got, c.want)
		}
	}
}

func TestHeaderValues(t *testing.T) {
	claims, err := structpb.NewStruct(map[string]any{
		"s": "ann", "n": 7, "f": 1.5, "m": -3, "b": true, "l": []any{"a"}, "o": map[string]any{"in": "x"}, "split": "a\r\nx-admin: 1", "null": nil,
	})
	if err != nil {
		t.Fatal(err)
	}
	for way, want := range map[string]string{
		"s": "ann", "n": "7", "f": "1.500000", "m": "-3.000000", "b": "true", "l": encoded(`["a"]`), "o": encoded(`{"in":"x"}`), "o.in": "x",
		"o.out": "", "s.in": "", "none": "", "split": "", "null": "",
	} {
		if got := headerValue(claims, way); got != want {
			t.Errorf("%s: %q, want %q", way, got, want)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		place                place
		target, left, fields string
		want                 string
	}{
		{place{query: "t"}, "/a?x=%20&t=A&t=B&y", "/a?x=%20&y", "", "A"},
		{place{query: "t"}, "/a?t=A", "/a", "", "A"},
		{place{query: "t"}, "/a?%74=A%2E", "/a", "", "A."},
		{place{query: "t"}, "/a?tt=A", "/a?tt=A", "", ""},
		{place{header: "authorization", prefix: "Bearer "}, "/", "/", "Bearer  A", "A"},
		{place{header: "authorization", prefix: "Bearer "}, "/", "/", "Basic A", ""},
	} {
		req := &message.Request{Target: c.target, Fields: []message.Field{{Name: "authorization", Value: c.fields}}}
		got := ""
		if list := c.place.find(req, nil); len(list) > 0 {
			got = list[0].text
			list[0].at.remove(req)
		}
		if got != c.want || req.Target != c.left {
			t.Errorf("%+v in %s: %q, left %s", c.place, c.target, got, req.Target)
		}
		if c.place.header != "" && (len(req.Fields) == 0) != (c.want != "") {
			t.Errorf("%+v: left %v", c.place, req.Fields)
		}
	}
}

func TestAnswers(t *testing.T) {
	s := signers(t)[0]
	p := new(jwtv3.JwtAuthentication)
	text := fmt.Sprintf(`{"providers": {"one": {"issuer": "i", "audiences": ["shop"], "local_jwks": {"inline_string": %q}, "payload_in_metadata": "one"}},
 "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "one"}}]}`, s.jwks(t, "k", ""))
	if err := protojson.Unmarshal([]byte(text), p); err != nil {
		t.Fatal(err)
	}
	f, err := New("jwt", p)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	for _, c := range []struct {
		token, want string
	}{
		{"", `401 Jwt is missing [{www-authenticate Bearer realm="http://shop/a%22" false}]`},
		{"x", `401 ` + string(malformed) + ` [{www-authenticate Bearer realm="http://shop/a%22", error="invalid_token" false}]`},
		{s.token(t, "k", map[string]any{"iss": "i", "aud": "bank", "exp": now + 60}), "403 Audiences in Jwt are not allowed []"},
		{s.token(t, "k", map[string]any{"iss": "i", "aud": []string{"bank", "shop"}, "exp": now + 60}), "0  []"},
	} {
		req := &message.Request{Scheme: "http", Authority: "shop", Target: `/a"?q`}
		if c.token != "" {
			req.Fields = []message.Field{{Name: "authorization", Value: "Bearer " + c.token}}
		}
		st := &filter.Stream{Request: req}
		v := f.OnRequest(st)
		if got := fmt.Sprintf("%d %s %v", v.Status, v.Body, st.Add); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		if (v.Status == 0) != (req.Metadata["jwt"].GetFields()["one"] != nil) || v.Status == 0 && len(req.Fields) > 0 {
			t.Errorf("metadata %v, fields %v", req.Metadata, req.Fields)
		}
	}
}

func FuzzKeysAndTokens(f *testing.F) {
	all := signers(f)
	for _, s := range all {
		f.Add(s.jwks(f, "k", ""), s.token(f, "k", map[string]any{"sub": "ann"}))
	}
	f.Fuzz(func(t *testing.T, set []byte, text string) {
		tok, why := parse(text)
		keys, err := ParseKeys(set)
		if why == fine && err == nil {
			_ = keys.verify(tok)
			_ = tok.inTime(1, 1)
		}
	})
}
