package bombs

import (
	"fmt"
	"strings"
)

// Doubling writes an owner of 2^n bytes.
func Doubling(n int) string {
	var b strings.Builder
	b.WriteString("_s0: \"x\"\n")
	for i := range n {
		fmt.Fprintf(&b, "_s%d: \"\\(_s%d)\\(_s%d)\"\n", i+1, i, i)
	}
	fmt.Fprintf(&b, "service: x: owner: \"\\(len(_s%d))\"\n", n)
	return b.String()
}

func manyFiles(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("f/%05d.cue", i), "package mesh\n")
	}
	return out
}

func yamlLaughs(depth int) string {
	var b strings.Builder
	b.WriteString("service:\n  l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < depth; i++ {
		fmt.Fprintf(&b, "  l%d: &l%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d, ", i-1), 10), ", "))
	}
	return b.String()
}

func nestedDisjunctions(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "_d%d: {a%d: 1} | {b%d: 1}\n", i, i, i)
	}
	b.WriteString("service: x: owner: \"\\(len(_all))\"\n_all: _d0")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, " & _d%d", i)
	}
	return b.String() + "\n"
}

func billionLaughs(depth int) string {
	var b strings.Builder
	b.WriteString("_l0: [\"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\"]\n")
	for i := 1; i < depth; i++ {
		fmt.Fprintf(&b, "_l%d: [%s_l%d]\n", i, strings.Repeat(fmt.Sprintf("_l%d, ", i-1), 9), i-1)
	}
	fmt.Fprintf(&b, "service: x: owner: json.Marshal(_l%d)\n", depth-1)
	return b.String()
}
