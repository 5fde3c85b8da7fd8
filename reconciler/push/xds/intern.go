package xds

import (
	"crypto/sha256"

	"google.golang.org/protobuf/proto"
)

// interner finds a resource by its exact bytes, which spares marshalling and
// hashing it twice, or by its version, which keeps the bytes first sent. It belongs to
// who builds.
type interner struct {
	raw     map[rawKey]*Resource
	version map[versionKey]*Resource
	emitted int // nodes since it was swept
}

type rawKey struct {
	Key
	sum [sha256.Size]byte
}

type versionKey struct {
	Key
	version string
}

func newInterner() *interner {
	return &interner{raw: map[rawKey]*Resource{}, version: map[versionKey]*Resource{}}
}

// resource gives the resource of a message, whose bytes are raw.
func (in *interner) resource(t Type, name string, m proto.Message, raw []byte) (*Resource, error) {
	rk := rawKey{Key{t, name}, sha256.Sum256(raw)}
	if r := in.raw[rk]; r != nil {
		return r, nil
	}
	r, err := newResource(t, name, m, raw)
	if err != nil {
		return nil, err
	}
	vk := versionKey{r.Key, r.Version}
	if first := in.version[vk]; first != nil {
		r = first
	}
	in.raw[rk], in.version[vk] = r, r
	return r, nil
}

// sweep forgets what a state does not hold, once so many nodes were emitted that it
// may be a good part of what is known: then it costs little beside that.
func (in *interner) sweep(st *state) {
	if in.emitted <= len(st.nodes)/2 {
		return
	}
	held := make(map[*Resource]bool, len(in.version))
	for _, n := range st.nodes {
		for _, list := range n.res {
			for _, r := range list {
				held[r] = true
			}
		}
	}
	next := newInterner()
	for k, r := range in.raw {
		if held[r] {
			next.raw[k], next.version[versionKey{r.Key, r.Version}] = r, r
		}
	}
	*in = *next
}
