package endpoint

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// Envoy's defaults of RingHashLbConfig and MaglevLbConfig.
const (
	DefaultRingMin   = 1024
	DefaultRingMax   = 8 << 20
	DefaultTableSize = 65537
)

// NewTable makes the table of a cluster with a hashing policy over usable
// endpoints of one priority. It is immutable and may be shared.
func NewTable(c *snapshot.Cluster, usable []int) Table {
	hosts := make([]hashed, len(usable))
	for k, share := range shares(c, usable) {
		hosts[k] = hashed{key: c.Endpoints[usable[k]].Addr.String(), i: usable[k], weight: share}
	}
	if c.LB == snapshot.Maglev {
		return newMaglev(hosts, c.Balance.TableSize)
	}
	return newRing(hosts, c.Balance.RingMin, c.Balance.RingMax)
}

// hashed is an endpoint by its address, with its share of all weights.
type hashed struct {
	key    string
	i      int
	weight float64
}

// ring is Envoy's variant of ketama: endpoint k is at the hashes of "address_0",
// "address_1" and so on, as often as its weight asks for.
type ring struct {
	hashes []uint64
	hosts  []int
}

func newRing(hosts []hashed, least, most uint64) *ring {
	least, most = cmp.Or(least, DefaultRingMin), cmp.Or(most, DefaultRingMax)
	low := slices.MinFunc(hosts, func(a, b hashed) int { return cmp.Compare(a.weight, b.weight) }).weight
	// The endpoint of the least weight gets a whole number of places.
	scale := min(math.Ceil(low*float64(least))/low, float64(most))
	type place struct {
		hash uint64
		host int
	}
	places := make([]place, 0, int(math.Ceil(scale)))
	current, target := 0.0, 0.0
	var key []byte
	for _, h := range hosts {
		key = append(append(key[:0], h.key...), '_')
		stem := len(key)
		target += scale * h.weight
		for n := int64(0); current < target; n++ {
			key = strconv.AppendInt(key[:stem], n, 10)
			places = append(places, place{xxhash.Sum64(key), h.i})
			current++
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.hash, b.hash) })
	r := &ring{hashes: make([]uint64, len(places)), hosts: make([]int, len(places))}
	for k, p := range places {
		r.hashes[k], r.hosts[k] = p.hash, p.host
	}
	return r
}

// Lookup implements Table: the first place at the hash or after it; further
// attempts go on along the ring.
func (r *ring) Lookup(hash uint64, attempt int) int {
	n := len(r.hashes)
	k := sort.Search(n, func(k int) bool { return r.hashes[k] >= hash })
	return r.hosts[(k%n+attempt)%n]
}

// maglev is the table of Google's Maglev paper, listing 1, with Envoy's weights:
// each entry takes its turn as often as its weight is in the greatest.
type maglev struct{ hosts []int32 }

type maglevEntry struct {
	host               int
	offset, skip, next uint64
	weight, target     float64
}

func newMaglev(hosts []hashed, size uint64) *maglev {
	size = cmp.Or(size, DefaultTableSize)
	sorted := slices.SortedFunc(slices.Values(hosts), func(a, b hashed) int { return cmp.Compare(a.key, b.key) })
	entries, most := make([]maglevEntry, len(sorted)), 0.0
	for k, h := range sorted {
		entries[k] = maglevEntry{host: h.i, offset: xxhash.Sum64String(h.key) % size, skip: seeded(h.key, 1)%(size-1) + 1, weight: h.weight}
		most = max(most, h.weight)
	}
	m := &maglev{hosts: make([]int32, size)}
	for k := range m.hosts {
		m.hosts[k] = -1
	}
	filled := uint64(0)
	for round := 1; filled < size; round++ {
		for k := 0; k < len(entries) && filled < size; k++ {
			e := &entries[k]
			if float64(round)*e.weight < e.target {
				continue
			}
			e.target += most
			at := (e.offset + e.skip*e.next) % size
			for m.hosts[at] >= 0 {
				e.next++
				at = (e.offset + e.skip*e.next) % size
			}
			m.hosts[at] = int32(e.host)
			e.next++
			filled++
		}
	}
	return m
}

// Lookup implements Table; further attempts look elsewhere.
func (m *maglev) Lookup(hash uint64, attempt int) int {
	if attempt > 0 {
		hash ^= -uint64(attempt)
	}
	return int(m.hosts[hash%uint64(len(m.hosts))])
}

func seeded(key string, seed uint64) uint64 {
	d := xxhash.NewWithSeed(seed)
	_, _ = d.WriteString(key) // never fails, by its contract
	return d.Sum64()
}
