package lower

import (
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
)

// checked unwraps what check.Intent has already accepted.
func checked[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("lower: intent was not checked: %v", err))
	}
	return v
}

func duration(v intent.Value[string]) time.Duration { return checked(literal.Duration(v.V)) }

func percent(v intent.Value[string]) uint32 { return checked(literal.Percent(v.V)) }

// durationOr gives a written duration, or def.
func durationOr(v *intent.Value[string], def time.Duration) time.Duration {
	if v == nil {
		return def
	}
	return duration(*v)
}

func texts(vs []intent.Value[string]) []string {
	var out []string
	for _, v := range vs {
		out = append(out, v.V)
	}
	return out
}
