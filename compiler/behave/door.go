package behave

import (
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// door is a port of a service, and who comes there.
type door struct {
	service *model.Service
	port    uint16
	who     client
	plain   *letting // of requests that nothing has changed; nil until somebody asks
}

// letting says whom the server lets in.
type letting struct {
	v         view
	tokenless reach.Pred
	saved     []open
	says      verdict
}

// letting of requests by way of a route. Most routes change nothing that rules
// look at, so that what rules say is the same for all of them.
func (d *door) letting(r *model.Route, gateway *model.Gateway) *letting {
	s := d.service
	v := server(s, d.port, r, d.who, gateway)
	if s.ModeOn(d.port) == model.MTLSDisable {
		v.who = known("")
	}
	plain := gateway == nil && v.host == "" && v.path == nil && len(v.fields) == 0
	if plain && d.plain != nil {
		return d.plain
	}
	out := &letting{v: v, says: judge(v, s.Allow, s.Deny)}
	out.tokenless, out.saved = v.tokenless(s.JWT, s.Public)
	if plain {
		d.plain = out
	}
	return out
}
