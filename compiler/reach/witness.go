package reach

import (
	"slices"
	"strconv"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach/diagram"
)

// Witness gives a request of the set, or nil when it is empty. It is the least
// one: coordinate by coordinate, in the order of the kinds and then as they were
// mentioned, an absent value comes before any other, a common method, port or
// scheme before another one, and then the shortest, then bytewise least value.
func (s *Space) Witness(set Set) *Request {
	if set.Empty() {
		return nil
	}
	out := &Request{Scheme: "http", Method: "GET", Path: "/"}
	n := set.node
	for _, a := range s.axes {
		n = a.choose(s.store, n, out)
	}
	return out
}

// choose gives r the best value of the coordinate with which it can still come
// to lie in n, and what remains of n then.
func (a *axis) choose(store *diagram.Store, n diagram.Node, r *Request) diagram.Node {
	if a.kind.repeated {
		for i, c := range a.classes {
			next := follow(store, n, a.first+i, 0)
			if next == diagram.False {
				next = follow(store, n, a.first+i, 1)
				r.give(a.dim, c.Least)
			}
			n = next
		}
		return n
	}
	if a.absence() == 1 {
		if next := follow(store, n, a.first, 0); next != diagram.False {
			return next
		}
	}
	for _, i := range a.liked {
		if next := follow(store, n, a.first, a.absence()+i); next != diagram.False {
			r.give(a.dim, a.classes[i].Least)
			return next
		}
	}
	panic("reach: a set that is not empty has no member")
}

// follow is n where the variable has the value; no earlier variable is tested
// by n.
func follow(store *diagram.Store, n diagram.Node, variable, value int) diagram.Node {
	if _, constant := n.Constant(); constant {
		return n
	}
	v, runs := store.Variable(n)
	if v != variable {
		return n
	}
	return runs[slices.IndexFunc(runs, func(run diagram.Run) bool { return int32(value) < run.End })].To
}

// give sets a coordinate, or adds a value to one that has names.
func (r *Request) give(d Dim, value string) {
	switch d.Kind {
	case Scheme:
		r.Scheme = value
	case Port:
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			panic("reach: the domain of ports holds " + value)
		}
		r.Port = uint16(n)
	case Host:
		r.Host = value
	case Identity:
		r.Identity = value
	case Address:
		r.Address = networkOf(value).Addr().String()
	case Client:
		r.Client = networkOf(value).Addr().String()
	case Through:
		r.Through = networkOf(value).Addr().String()
	case Path:
		r.Path = value
	case Method:
		r.Method = value
	default:
		list := r.list(d.Kind)
		*list = append(*list, model.Header{Name: d.Name, Value: value})
	}
}
