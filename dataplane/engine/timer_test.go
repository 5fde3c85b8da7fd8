package engine

import (
	"math/rand/v2"
	"testing"
)

type alarm struct {
	timer timer
	rang  []int64
	now   *int64
}

func (a *alarm) onTimer() { a.rang = append(a.rang, *a.now) }

// The lazy heap must ring exactly when an ideal clock would: once per deadline
// in force, at the first turn at or after it.
func TestTimersAgreeWithAModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var now int64
	var h timers
	alarms := make([]*alarm, 20)
	model := make([]int64, len(alarms))
	want := make([][]int64, len(alarms))
	for i := range alarms {
		alarms[i] = &alarm{now: &now}
		alarms[i].timer.owner = alarms[i]
	}
	for now = 1; now < 20_000; now++ {
		h.run(now)
		for i, at := range model {
			if at != 0 && at <= now {
				want[i] = append(want[i], now)
				model[i] = 0
			}
		}
		i := rng.IntN(len(alarms))
		switch rng.IntN(4) {
		case 0:
			h.set(&alarms[i].timer, 0)
			model[i] = 0
		case 1:
			h.drop(&alarms[i].timer)
			model[i] = 0
		default:
			at := now + 1 + rng.Int64N(200)
			h.set(&alarms[i].timer, at)
			model[i] = at
		}
	}
	for i, a := range alarms {
		if len(a.rang) != len(want[i]) || len(want[i]) == 0 {
			t.Fatalf("alarm %d rang %d times, want %d", i, len(a.rang), len(want[i]))
		}
		for k := range a.rang {
			if a.rang[k] != want[i][k] {
				t.Fatalf("alarm %d rang at %d, want %d", i, a.rang[k], want[i][k])
			}
		}
	}
}
