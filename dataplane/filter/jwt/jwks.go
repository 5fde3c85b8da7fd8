package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// maxKeySet bounds a JWKS, in bytes.
const maxKeySet = 1 << 20

// key is one public key and the algorithms (RFC 7518, 3.1) that it verifies.
type key struct {
	id     string
	public crypto.PublicKey
	algs   []string
}

// Keys are those of a JWKS that verify signatures.
type Keys struct{ list []key }

// jwk are the members of RFC 7517 and 7518, 6 that this proxy reads.
type jwk struct {
	Kty, Use, Alg, Kid, Crv string
	N, E, X, Y              string
	KeyOps                  []string `json:"key_ops"`
}

// minRSA is the shortest modulus that verifies a token, in bits (RFC 7518, 3.3).
const minRSA = 2048

// ParseKeys reads a JWKS. Keys that are not for signatures, are secret or cannot
// be read are left out (RFC 7517, 5); a set without any other is an error.
func ParseKeys(raw []byte) (*Keys, error) {
	if len(raw) > maxKeySet {
		return nil, fmt.Errorf("a JWKS of %d bytes is over %d", len(raw), maxKeySet)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("JWKS: %w", err)
	}
	var out Keys
	var first error
	for i, one := range set.Keys {
		var j jwk
		err := json.Unmarshal(one, &j)
		if err == nil {
			var k key
			if k, err = j.key(); err == nil {
				out.list = append(out.list, k)
				continue
			}
		}
		if first == nil {
			first = fmt.Errorf("keys[%d]: %w", i, err)
		}
	}
	if len(out.list) == 0 {
		if first == nil {
			first = errors.New("it is empty")
		}
		return nil, fmt.Errorf("JWKS without a usable key: %w", first)
	}
	return &out, nil
}

func (j *jwk) key() (key, error) {
	if j.Use != "" && j.Use != "sig" {
		return key{}, fmt.Errorf("use %q", j.Use)
	}
	if !verifies(j.KeyOps) {
		return key{}, fmt.Errorf("key_ops %q", j.KeyOps)
	}
	public, algs, err := j.public()
	if err != nil {
		return key{}, err
	}
	if j.Alg != "" {
		if !contains(algs, j.Alg) {
			return key{}, fmt.Errorf("alg %q of a key of type %q", j.Alg, j.Kty)
		}
		algs = []string{j.Alg}
	}
	return key{id: j.Kid, public: public, algs: algs}, nil
}

func verifies(ops []string) bool { return len(ops) == 0 || contains(ops, "verify") }

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (j *jwk) public() (crypto.PublicKey, []string, error) {
	switch j.Kty {
	case "RSA":
		return j.rsa()
	case "EC":
		return j.ec()
	case "OKP":
		x, err := number(j.X)
		if err != nil || j.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
			return nil, nil, fmt.Errorf("crv %q is not supported, or its x is not a key", j.Crv)
		}
		return ed25519.PublicKey(x), []string{"EdDSA"}, nil
	}
	return nil, nil, fmt.Errorf("kty %q is not supported", j.Kty)
}

func (j *jwk) rsa() (crypto.PublicKey, []string, error) {
	n, err := number(j.N)
	if err != nil {
		return nil, nil, fmt.Errorf("n: %w", err)
	}
	e, err := number(j.E)
	if err != nil {
		return nil, nil, fmt.Errorf("e: %w", err)
	}
	exponent := new(big.Int).SetBytes(e)
	out := &rsa.PublicKey{N: new(big.Int).SetBytes(n)}
	if !exponent.IsInt64() || exponent.Int64() < 3 || exponent.Int64() > 1<<31-1 || exponent.Bit(0) == 0 {
		return nil, nil, errors.New("e is out of range")
	}
	out.E = int(exponent.Int64())
	if bits := out.N.BitLen(); bits < minRSA || bits > 16384 {
		return nil, nil, fmt.Errorf("n has %d bits", bits)
	}
	return out, []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
}

func (j *jwk) ec() (crypto.PublicKey, []string, error) {
	var curve elliptic.Curve
	var alg string
	switch j.Crv {
	case "P-256":
		curve, alg = elliptic.P256(), "ES256"
	case "P-384":
		curve, alg = elliptic.P384(), "ES384"
	case "P-521":
		curve, alg = elliptic.P521(), "ES512"
	default:
		return nil, nil, fmt.Errorf("crv %q is not supported", j.Crv)
	}
	size := (curve.Params().BitSize + 7) / 8
	x, err := number(j.X)
	if err != nil {
		return nil, nil, fmt.Errorf("x: %w", err)
	}
	y, err := number(j.Y)
	if err != nil {
		return nil, nil, fmt.Errorf("y: %w", err)
	}
	if len(x) > size || len(y) > size {
		return nil, nil, errors.New("x or y is too long")
	}
	point := make([]byte, 1+2*size)
	point[0] = 4 // uncompressed
	copy(point[1+size-len(x):], x)
	copy(point[1+2*size-len(y):], y)
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, nil, err
	}
	return public, []string{alg}, nil
}

func number(s string) ([]byte, error) {
	out, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil && len(out) == 0 {
		err = errors.New("it is missing")
	}
	return out, err
}
