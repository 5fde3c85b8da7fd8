package behave

import (
	"cmp"
	"slices"
)

// Class of a change of behaviour.
type Class string

// Classes, the most serious first.
const (
	Blackhole Class = "BLACKHOLE" // answered before, now nothing takes it
	Expose    Class = "EXPOSE"    // somebody may call who might not
	Weaken    Class = "WEAKEN"    // mutual TLS, a token or a timeout is taken away or loosened
	Fault     Class = "FAULT"     // injected errors or delays change
	Narrow    Class = "NARROW"    // somebody may no longer call
	Reroute   Class = "REROUTE"   // another destination or answer
	Restart   Class = "RESTART"   // workloads must restart: identity, labels or protocol
	Shift     Class = "SHIFT"     // weights of destinations, some of which stay
	Harden    Class = "HARDEN"    // mutual TLS, a token or a timeout is added or tightened
	Tune      Class = "TUNE"      // numbers of resilience, headers, how endpoints are chosen
	Noop      Class = "NOOP"      // written otherwise, proved to behave the same
)

// Classes lists all of them, the most serious first.
func Classes() []Class {
	return []Class{Blackhole, Expose, Weaken, Fault, Narrow, Reroute, Restart, Shift, Harden, Tune, Noop}
}

// Meaning says in a few words what a class stands for.
func (c Class) Meaning() string {
	return map[Class]string{
		Blackhole: "requests that were answered are taken by nothing",
		Expose:    "somebody may call who might not",
		Weaken:    "mutual TLS, a token or a timeout is loosened",
		Fault:     "injected errors or delays change",
		Narrow:    "somebody may no longer call",
		Reroute:   "requests get another destination or answer",
		Restart:   "workloads must restart: their identity or protocol changes",
		Shift:     "weights of destinations change",
		Harden:    "mutual TLS, a token or a timeout is tightened",
		Tune:      "resilience, headers or the choice of endpoints change",
		Noop:      "written otherwise, proved to behave the same",
	}[c]
}

func compareClasses(a, b Class) int {
	all := Classes()
	return cmp.Compare(slices.Index(all, a), slices.Index(all, b))
}

// distinct sorts classes and leaves each one there once.
func distinct(classes []Class) []Class {
	slices.SortFunc(classes, compareClasses)
	return slices.Compact(classes)
}

// Risk says how much care changes of these classes want: "high" where requests are
// lost or let in, "medium" where they are treated otherwise, "low" for the rest, and
// "none" without any.
func Risk(classes []Class) string {
	out := "none"
	for _, c := range classes {
		switch c {
		case Blackhole, Expose, Weaken:
			return "high"
		case Fault, Narrow, Reroute, Restart, Shift:
			out = "medium"
		default:
			if out == "none" {
				out = "low"
			}
		}
	}
	return out
}
