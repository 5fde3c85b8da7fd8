package lower

import (
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// Matches lowers an any-of list that is no route's.
func Matches(ms []*intent.Match) []model.Match { return matches(ms) }
