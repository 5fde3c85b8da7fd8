package intent

import "github.com/meshc/meshc/compiler/diag"

// Migration is a planned change of what ports accept.
type Migration struct {
	To    Value[string] // strict
	Until Value[string] // RFC 3339
	At    diag.Range
}
