package main

import (
	"fmt"

	"github.com/meshc/meshc/compiler"
)

// nothingThere says that a subdirectory holds nothing that could be right or
// wrong: "ok" would be taken for more than it is.
func nothingThere(dir, sub string, res *compiler.Result) error {
	m := res.Intent
	if sub == "." || m == nil || len(res.Diags) > 0 || len(m.Services)+len(m.Gateways)+len(m.Externals) > 0 {
		return nil
	}
	return fmt.Errorf("vet %s: no service, gateway or external is there or below", dir)
}
