package engine

import (
	"math/rand/v2"
	"testing"
)

// However clients come and go, what servers are told of is that of those who are
// there; and a client keeps nothing of hosts that are over.
func TestToldAreThoseWhoAreThere(t *testing.T) {
	p := &pool{}
	wholes := []*host{{pool: p}, {pool: p}, {pool: p}}
	there := map[*peerInfo]bool{}
	d := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		if len(there) == 0 || d.IntN(2) == 0 {
			who := &peerInfo{}
			for _, h := range wholes {
				own := &host{pool: p, whole: h, place: len(h.told)}
				h.told = append(h.told, own)
				who.remember(own)
			}
			there[who] = true
		} else {
			for who := range there {
				who.hangUp()
				delete(there, who)
				break
			}
		}
		for _, h := range wholes {
			if len(h.told) != len(there) {
				t.Fatalf("%d hosts of %d clients", len(h.told), len(there))
			}
			for i, own := range h.told {
				if own.place != i || own.gone {
					t.Fatalf("the host at %d is at %d, gone: %v", i, own.place, own.gone)
				}
			}
		}
	}
	wholes[0].retire() // with those of all who are there
	for who := range there {
		who.hangUp()
	}
	if len(wholes[0].told)+len(wholes[1].told)+len(wholes[2].told) != 0 {
		t.Error("hosts of nobody")
	}
	who := &peerInfo{}
	for range 1000 {
		who.remember(&host{pool: p, whole: &host{pool: p}, gone: true})
	}
	if len(who.told) > fewTold {
		t.Errorf("%d hosts that are over", len(who.told))
	}
}
