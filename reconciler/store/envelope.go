package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// APIVersion of every envelope.
const APIVersion = "meshc.dev/v1alpha1"

// envelope wraps what is written. Checksum is the SHA-256 in hex of Spec as it
// stands in the file.
type envelope struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Checksum   string          `json:"checksum"`
	Spec       json.RawMessage `json:"spec"`
}

func checksum(spec []byte) string {
	sum := sha256.Sum256(spec)
	return hex.EncodeToString(sum[:])
}

// seal gives the bytes of an envelope and its checksum.
func seal(kind string, v any) (data []byte, sum string, err error) {
	spec, err := encode(kind, v)
	if err != nil {
		return nil, "", err
	}
	sum = checksum(spec)
	data, err = enclose(kind, sum, spec)
	return data, sum, err
}

// encode gives the spec of an envelope.
func encode(kind string, v any) ([]byte, error) {
	spec, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	return spec, nil
}

// enclose puts an encoded spec into an envelope.
func enclose(kind, sum string, spec []byte) ([]byte, error) {
	data, err := json.Marshal(envelope{APIVersion, kind, sum, spec})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	return append(data, '\n'), nil
}

// unseal reads an envelope of the wanted kind into v. Unknown fields are
// refused: they come from a newer version, and dropping them would change what
// serves.
func unseal(data []byte, kind string, v any) (sum string, err error) {
	var e envelope
	if err := strict(data, &e); err != nil {
		return "", fmt.Errorf("%w: not an envelope: %w", ErrDamaged, err)
	}
	switch {
	case e.APIVersion != APIVersion:
		return "", fmt.Errorf("%w: apiVersion is %q, want %q", ErrDamaged, e.APIVersion, APIVersion)
	case e.Kind != kind:
		return "", fmt.Errorf("%w: kind is %q, want %q", ErrDamaged, e.Kind, kind)
	case checksum(e.Spec) != e.Checksum:
		return "", fmt.Errorf("%w: checksum does not match", ErrDamaged)
	}
	if err := strict(e.Spec, v); err != nil {
		return "", fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return e.Checksum, nil
}

func strict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.More() {
		return fmt.Errorf("bytes after the end")
	}
	return nil
}
