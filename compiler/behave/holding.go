package behave

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// holdingClass is the class of a change of what a proxy does for or against what
// comes to it; nil for settings of another kind.
func holdingClass(name string) func(before, after string) Class {
	switch {
	case name == "maxConnections", name == "buffer.maxBytes":
		return boundClass
	case name == "buffer.notPaths": // requests of other paths may be refused
		return always(Narrow)
	case name == "admission.window":
		return always(Tune)
	case strings.HasPrefix(name, "admission."):
		return admissionClass(name)
	case name == "compression", strings.HasPrefix(name, "compression."):
		return always(Tune)
	}
	return nil
}

// boundClass: where a bound is new or lower, somebody is refused who was not. ""
// is no bound.
func boundClass(before, after string) Class {
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return 1 << 63
		}
		return n
	}
	if number(after) < number(before) {
		return Narrow
	}
	return Tune
}

// admissionClass: where more may be refused, somebody is who was not. "" is no
// admission control.
func admissionClass(name string) func(before, after string) Class {
	number := func(s string) float64 {
		n, err := strconv.ParseFloat(strings.TrimSuffix(s, " %"), 64)
		if err != nil {
			return 0 // of lists, which have no order
		}
		return n
	}
	return func(before, after string) Class {
		less := number(after) < number(before)
		switch {
		case after == "":
			return Tune
		case before == "":
			return Narrow
		case strings.HasPrefix(name, "admission.success."):
			return successClass(before, after)
		case less == (name == "admission.minRPS"):
			return Narrow
		}
		return Tune
	}
}

// successClass: where all that was a success still is, no more is refused.
func successClass(before, after string) Class {
	was, ok1 := model.StatusesOf(before)
	is, ok2 := model.StatusesOf(after)
	if ok1 && ok2 {
		if model.CoversStatuses(is, was) {
			return Tune
		}
		return Narrow
	}
	names := strings.Split(after, ", ")
	for _, name := range strings.Split(before, ", ") {
		if !slices.Contains(names, name) {
			return Narrow
		}
	}
	return Tune
}
