package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the algorithms
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// failure says why a token is not taken, in Envoy's words.
type failure string

// Failures.
const (
	fine             failure = ""
	missing          failure = "Jwt is missing"
	malformed        failure = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
	badHeader        failure = "Jwt header is an invalid JSON"
	badAlgorithm     failure = "Jwt header [alg] is not supported"
	badPayload       failure = "Jwt payload is an invalid JSON"
	notYet           failure = "Jwt not yet valid"
	expired          failure = "Jwt is expired"
	unknownIssuer    failure = "Jwt issuer is not configured"
	wrongAudience    failure = "Audiences in Jwt are not allowed"
	unverified       failure = "Jwt verification fails"
	noKeys           failure = "Jwks doesn't have key to match kid or alg from Jwt"
	keysNotThere     failure = "Jwks remote fetch is failed"
	accessDeniedMark         = "jwt_authn_access_denied"
)

// strict takes one text for one value, so that a token has one form.
var strict = base64.RawURLEncoding.Strict()

// token is a JWT in compact form (RFC 7515, 3.1) that is not verified yet.
type token struct {
	signed    string // header and payload, as signed
	signature []byte
	alg, kid  string
	claims    *structpb.Struct
}

func parse(text string) (*token, failure) {
	head, rest, ok := strings.Cut(text, ".")
	body, sig, more := strings.Cut(rest, ".")
	if !ok || !more || strings.Contains(sig, ".") {
		return nil, malformed
	}
	var h struct {
		Alg, Kid string
		Crit     json.RawMessage
	}
	raw, err := strict.DecodeString(head)
	if err != nil || json.Unmarshal(raw, &h) != nil || h.Crit != nil { // no extension is understood (RFC 7515, 4.1.11)
		return nil, badHeader
	}
	if algorithms[h.Alg].hash == 0 && h.Alg != "EdDSA" {
		return nil, badAlgorithm
	}
	t := &token{signed: text[:len(head)+1+len(body)], alg: h.Alg, kid: h.Kid, claims: new(structpb.Struct)}
	if raw, err = strict.DecodeString(body); err != nil || protojson.Unmarshal(raw, t.claims) != nil {
		return nil, badPayload
	}
	if t.signature, err = strict.DecodeString(sig); err != nil {
		return nil, malformed
	}
	return t, fine
}

func (t *token) text(claim string) string { return t.claims.GetFields()[claim].GetStringValue() }

// audiences are those of "aud": one, or several (RFC 7519, 4.1.3).
func (t *token) audiences() []string {
	aud := t.claims.GetFields()["aud"]
	if s, ok := aud.GetKind().(*structpb.Value_StringValue); ok {
		return []string{s.StringValue}
	}
	var out []string
	for _, v := range aud.GetListValue().GetValues() {
		out = append(out, v.GetStringValue())
	}
	return out
}

// inTime judges "nbf" and "exp", in seconds since 1970. What is no number is no
// time that a token could be valid at.
func (t *token) inTime(now, skew float64) failure {
	for _, name := range []string{"nbf", "exp"} {
		v, there := t.claims.GetFields()[name]
		if !there {
			continue
		}
		at, ok := v.GetKind().(*structpb.Value_NumberValue)
		switch {
		case !ok || at.NumberValue < 0:
			return badPayload
		case name == "nbf" && now+skew < at.NumberValue:
			return notYet
		case name == "exp" && now > at.NumberValue+skew:
			return expired
		}
	}
	return fine
}

type algorithm struct {
	hash crypto.Hash
	pss  bool
}

var algorithms = map[string]algorithm{
	"RS256": {hash: crypto.SHA256}, "RS384": {hash: crypto.SHA384}, "RS512": {hash: crypto.SHA512},
	"PS256": {crypto.SHA256, true}, "PS384": {crypto.SHA384, true}, "PS512": {crypto.SHA512, true},
	"ES256": {hash: crypto.SHA256}, "ES384": {hash: crypto.SHA384}, "ES512": {hash: crypto.SHA512},
}

// verify holds the signature against the keys that have the token's kid, or
// against all where it has none, and of them against those that are for its
// algorithm: what a token says of itself chooses among keys and never how a key
// is used.
func (k *Keys) verify(t *token) failure {
	asked := false
	for i := range k.list {
		one := &k.list[i]
		if t.kid != "" && one.id != "" && one.id != t.kid || !slices.Contains(one.algs, t.alg) {
			continue
		}
		asked = true
		if one.verifies(t) {
			return fine
		}
	}
	if !asked {
		return noKeys
	}
	return unverified
}

func (k *key) verifies(t *token) bool {
	if public, ok := k.public.(ed25519.PublicKey); ok {
		return ed25519.Verify(public, []byte(t.signed), t.signature)
	}
	alg := algorithms[t.alg]
	h := alg.hash.New()
	h.Write([]byte(t.signed))
	sum := h.Sum(nil)
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		if alg.pss {
			return rsa.VerifyPSS(public, alg.hash, sum, t.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(public, alg.hash, sum, t.signature) == nil
	case *ecdsa.PublicKey: // r and s, each as long as the order (RFC 7518, 3.4)
		size := (public.Curve.Params().BitSize + 7) / 8
		if len(t.signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(t.signature[:size]), new(big.Int).SetBytes(t.signature[size:])
		return ecdsa.Verify(public, sum, r, s)
	}
	return false
}
