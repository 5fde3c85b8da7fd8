package store

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/meshc/meshc/compiler/model"
)

// Head is a generation apart from its services and gateways.
type Head struct{ head meshObject }

// Config is one service or gateway of a generation.
type Config struct{ config configObject }

// Ref names the service or the gateway.
func (c *Config) Ref() (ref model.Ref, gateway bool) {
	if c.config.Gateway != nil {
		return c.config.Gateway.Ref, true
	}
	return c.config.Service.Ref, false
}

// Of gives the pointer to the service or gateway that this is about.
func (c *Config) Of() any {
	if c.config.Gateway != nil {
		return c.config.Gateway
	}
	return c.config.Service
}

// MarshalJSON gives the form that files have.
func (h *Head) MarshalJSON() ([]byte, error) { return json.Marshal(h.head) }

// UnmarshalJSON refuses fields that it does not know.
func (h *Head) UnmarshalJSON(data []byte) error { return strict(data, &h.head) }

// MarshalJSON is the inverse of UnmarshalJSON.
func (c *Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.config) }

// UnmarshalJSON refuses fields that it does not know: they come from a newer
// version, and dropping them would change what serves.
func (c *Config) UnmarshalJSON(data []byte) error {
	if err := strict(data, &c.config); err != nil {
		return err
	}
	if (c.config.Service == nil) == (c.config.Gateway == nil) {
		return errNeither
	}
	return nil
}

var errNeither = errors.New("a ServiceConfig is neither of a service nor of a gateway")

// Split takes a generation apart; Join puts it together again. What they give
// shares the model.
func Split(g *Generation) (*Head, []*Config) {
	head, configs := split(g)
	out := make([]*Config, len(configs))
	for i := range configs {
		out[i] = &Config{configs[i]}
	}
	return &Head{head}, out
}

// Join is the inverse of Split.
func Join(commit string, h *Head, configs []*Config) (*Generation, error) {
	list := make([]configObject, len(configs))
	for i, c := range configs {
		list[i] = c.config
	}
	g, err := join(commit, h.head, list)
	if err != nil {
		return nil, fmt.Errorf("commit %.12s: %w: %w", commit, ErrDamaged, err)
	}
	return g, nil
}
