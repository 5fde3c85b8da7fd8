package xds

import (
	"bytes"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// JSON gives m as indented JSON with a final newline, the same bytes for the
// same message. protojson varies its white space on purpose; encoding/json
// takes that out again.
func JSON(m proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	return indent(raw)
}

func indent(raw []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// resourcesJSON fixes the order of the lists.
type resourcesJSON struct {
	Listeners []json.RawMessage `json:"listeners"`
	Routes    []json.RawMessage `json:"routes"`
	Clusters  []json.RawMessage `json:"clusters"`
	Endpoints []json.RawMessage `json:"endpoints"`
	Bundles   []string          `json:"bundles,omitempty"`
}

// MarshalJSON gives the resources by kind, the same bytes for the same
// resources. Fields have their names in the xDS protocol.
func (r *Resources) MarshalJSON() ([]byte, error) {
	out := resourcesJSON{Bundles: r.Bundles}
	var err error
	if out.Listeners, err = rawList(r.Listeners); err != nil {
		return nil, err
	}
	if out.Routes, err = rawList(r.Routes); err != nil {
		return nil, err
	}
	if out.Clusters, err = rawList(r.Clusters); err != nil {
		return nil, err
	}
	if out.Endpoints, err = rawList(r.Endpoints); err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

func rawList[T proto.Message](list []T) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, 0, len(list))
	for _, m := range list {
		raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}
