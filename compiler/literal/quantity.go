package literal

import (
	"fmt"
	"math/big"
	"regexp"
)

var quantity = regexp.MustCompile(`^([0-9]{1,18}(?:\.[0-9]{1,9})?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$`)

// unit holds what the suffixes of quantities stand for.
var unit = map[string]*big.Rat{
	"": big.NewRat(1, 1), "m": big.NewRat(1, 1000),
	"k": big.NewRat(1e3, 1), "M": big.NewRat(1e6, 1), "G": big.NewRat(1e9, 1), "T": big.NewRat(1e12, 1), "P": big.NewRat(1e15, 1), "E": big.NewRat(1e18, 1),
	"Ki": big.NewRat(1<<10, 1), "Mi": big.NewRat(1<<20, 1), "Gi": big.NewRat(1<<30, 1), "Ti": big.NewRat(1<<40, 1), "Pi": big.NewRat(1<<50, 1), "Ei": big.NewRat(1<<60, 1),
}

// Quantity reads an amount as Kubernetes writes it, "100m" or "128Mi", exactly.
func Quantity(s string) (*big.Rat, error) {
	parts := quantity.FindStringSubmatch(s)
	if parts == nil {
		return nil, fmt.Errorf("%q is not an amount such as \"100m\" or \"128Mi\"", Clip(s))
	}
	n, ok := new(big.Rat).SetString(parts[1])
	if !ok {
		return nil, fmt.Errorf("%q is not an amount", Clip(s))
	}
	if n.Mul(n, unit[parts[2]]); n.Sign() == 0 {
		return nil, fmt.Errorf("%q is nothing", s)
	}
	return n, nil
}
