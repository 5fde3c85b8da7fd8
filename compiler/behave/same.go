package behave

import (
	"github.com/meshc/meshc/compiler/alike"
	"github.com/meshc/meshc/compiler/model"
)

var placeless = alike.Without[model.Origin]()

// sameAsWritten says that two pieces of a model are equal but for the places
// where they are written. What is the same as written behaves the same, so that
// nothing has to be compared.
func sameAsWritten[T any](a, b *T) bool { return alike.Same(placeless, a, b) }
