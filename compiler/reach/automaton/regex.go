package automaton

import (
	"fmt"
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// Regex accepts what the RE2 expression matches in full. As in Envoy, whose RE2
// reads Latin-1, every byte of the value is one character, and so is every byte
// of the expression: "." takes any one byte, valid UTF-8 or not.
func Regex(expr string, b *Budget) (*DFA, error) {
	parsed, err := syntax.Parse(Latin1(expr), syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expr, err)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expr, err)
	}
	n, err := byteProgram(prog, b)
	if err != nil {
		return nil, err
	}
	d, err := n.determinise(b)
	if err != nil {
		return nil, err
	}
	return d.minimised(b), nil
}

// Latin1 writes the bytes of s as the characters U+0000 to U+00FF, which is how
// an expression and a value are handed to a matcher that reads UTF-8.
func Latin1(s string) string {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if ascii {
		return s
	}
	out := make([]rune, len(s))
	for i := range len(s) {
		out[i] = rune(s[i])
	}
	return string(out)
}

// program is a nondeterministic automaton over bytes, with one node for each
// instruction of the expression.
type program struct {
	start int32
	nodes []nfaNode
	looks bool // has conditions on what stands around a position
	lines bool // among them on line breaks
	words bool // among them on word boundaries
}

type nfaNode struct {
	kind  nodeKind
	cond  syntax.EmptyOp // of looking
	next  [2]int32       // of forking and looking (the first only)
	edges []edge         // of reading
}

type nodeKind uint8

const (
	failing nodeKind = iota
	reading
	forking
	looking
	matching
)

func byteProgram(prog *syntax.Prog, b *Budget) (*program, error) {
	p := &program{start: int32(prog.Start), nodes: make([]nfaNode, len(prog.Inst))}
	for i := range prog.Inst {
		inst := &prog.Inst[i]
		out := int32(inst.Out)
		switch inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			p.nodes[i] = nfaNode{kind: forking, next: [2]int32{out, int32(inst.Arg)}}
		case syntax.InstCapture, syntax.InstNop:
			p.nodes[i] = nfaNode{kind: forking, next: [2]int32{out, out}}
		case syntax.InstEmptyWidth:
			p.look(int32(i), syntax.EmptyOp(inst.Arg), out)
		case syntax.InstMatch:
			p.nodes[i].kind = matching
		case syntax.InstFail:
		default:
			p.read(int32(i), runes(inst), out)
		}
		if err := b.spend(len(p.nodes[i].edges)+1, 0); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *program) look(at int32, cond syntax.EmptyOp, out int32) {
	p.nodes[at] = nfaNode{kind: looking, cond: cond, next: [2]int32{out, out}}
	p.looks = true
	p.lines = p.lines || cond&(syntax.EmptyBeginLine|syntax.EmptyEndLine) != 0
	p.words = p.words || cond&(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) != 0
}

// runes gives the ranges that an instruction reads, as pairs.
func runes(inst *syntax.Inst) []rune {
	switch inst.Op {
	case syntax.InstRuneAny:
		return []rune{0, unicode.MaxRune}
	case syntax.InstRuneAnyNotNL:
		return []rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune}
	}
	if len(inst.Rune) != 1 {
		return inst.Rune
	}
	r := inst.Rune[0]
	out := []rune{r, r}
	if syntax.Flags(inst.Arg)&syntax.FoldCase != 0 {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			out = append(out, f, f)
		}
	}
	return out
}

// read makes the node at read one byte of the ranges. Characters above U+00FF
// are no bytes.
func (p *program) read(at int32, ranges []rune, out int32) {
	p.nodes[at].kind = reading
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i] > 0xff {
			continue
		}
		p.nodes[at].edges = append(p.nodes[at].edges, edge{byte(ranges[i]), byte(min(ranges[i+1], 0xff)), out})
	}
}
