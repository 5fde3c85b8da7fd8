// Package buffer has requests read whole before they go on, as
// envoy.filters.http.buffer does.
package buffer

import (
	"errors"

	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/resource/support"
)

// Supported lists the messages that New understands.
var Supported = []support.Message{
	{Name: "envoy.extensions.filters.http.buffer.v3.Buffer", Fields: []support.Field{
		support.F("max_request_bytes", "above 0; a request that asks for another protocol is not read"),
	}},
}

// Filter is one buffer filter of a connection manager.
type Filter struct {
	name string
	most int
}

// New gives the filter called name for a config that passed support.Table.Check.
func New(name string, m *bufferv3.Buffer) (*Filter, error) {
	if m.GetMaxRequestBytes().GetValue() == 0 {
		return nil, errors.New("max_request_bytes: must be above 0")
	}
	return &Filter{name: name, most: int(m.GetMaxRequestBytes().GetValue())}, nil
}

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

// OnRequest implements filter.HTTP.
func (f *Filter) OnRequest(*filter.Stream) filter.Verdict { return filter.Verdict{Hold: f.most} }
