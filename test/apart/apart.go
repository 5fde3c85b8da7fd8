// Package apart finds the texts that patterns tell apart, so that trying each of
// them is trying everything. It is for tests alone, and shares nothing with the
// automata that it is to judge: it follows the programs of package regexp/syntax.
package apart

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
)

// most bounds how many states of all patterns together are followed.
const most = 1 << 19

// Words gives one shortest word for every set of patterns that are exactly those
// of which some word of the domain is. Patterns and domain are RE2 expressions,
// matched in full. Words consist of letters: of characters that no pattern tells
// apart one stands for all, so that the result is complete for every text whose
// characters are each like one of the letters.
func Words(letters, domain string, patterns ...string) ([]string, error) {
	machines := make([]*machine, 0, len(patterns)+1)
	for _, p := range append([]string{domain}, patterns...) {
		m, err := compile(p)
		if err != nil {
			return nil, err
		}
		machines = append(machines, m)
	}
	alphabet := apartLetters(letters, machines)
	type reached struct {
		at   []int // a state of each machine
		word string
	}
	queue := []reached{{make([]int, len(machines)), ""}}
	seen, verdicts := map[string]bool{fmt.Sprint(queue[0].at): true}, map[string]bool{}
	var out []string
	for ; len(queue) > 0; queue = queue[1:] {
		this := queue[0]
		if machines[0].accepts(this.at[0]) {
			verdict := make([]byte, len(machines))
			for i, m := range machines {
				verdict[i] = '0'
				if m.accepts(this.at[i]) {
					verdict[i] = '1'
				}
			}
			if !verdicts[string(verdict)] {
				verdicts[string(verdict)] = true
				out = append(out, this.word)
			}
		}
		for _, letter := range alphabet {
			next := make([]int, len(machines))
			for i, m := range machines {
				next[i] = m.step(this.at[i], letter)
			}
			if machines[0].dead(next[0]) {
				continue
			}
			if key := fmt.Sprint(next); !seen[key] {
				seen[key] = true
				queue = append(queue, reached{next, this.word + string(letter)})
			}
		}
		if len(seen) > most {
			return nil, fmt.Errorf("%d patterns have more than %d states together", len(patterns), most)
		}
	}
	return out, nil
}

// apartLetters keeps the first of the letters that no machine tells apart.
func apartLetters(letters string, machines []*machine) []rune {
	var out []rune
	seen := map[string]bool{}
	for _, letter := range letters {
		var key strings.Builder
		fmt.Fprint(&key, sort(letter))
		for _, m := range machines {
			for i := range m.prog.Inst {
				if in := &m.prog.Inst[i]; consumes(in) {
					fmt.Fprint(&key, in.MatchRune(letter))
				}
			}
		}
		if !seen[key.String()] {
			seen[key.String()] = true
			out = append(out, letter)
		}
	}
	return out
}

func consumes(in *syntax.Inst) bool {
	switch in.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	}
	return false
}

// sort is a character that assertions such as \b and ^ do not tell from letter.
func sort(letter rune) rune {
	switch {
	case syntax.IsWordChar(letter):
		return 'a'
	case letter == '\n':
		return '\n'
	}
	return '.'
}

// machine is a program with the sets of its threads that were seen.
type machine struct {
	prog   *syntax.Prog
	states []state
	number map[string]int
	next   []map[rune]int
}

// state is where the threads are, before what needs no character, and the sort of
// the character before.
type state struct {
	threads []uint32
	before  rune // -1 at the beginning
}

func compile(pattern string) (*machine, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, err
	}
	m := &machine{prog: prog, number: map[string]int{}}
	m.of(state{[]uint32{uint32(prog.Start)}, -1})
	return m, nil
}

// of gives the number of a state.
func (m *machine) of(s state) int {
	key := fmt.Sprint(s)
	n, known := m.number[key]
	if !known {
		n = len(m.states)
		m.number[key] = n
		m.states, m.next = append(m.states, s), append(m.next, map[rune]int{})
	}
	return n
}

// dead says that no word goes on from a state.
func (m *machine) dead(n int) bool { return len(m.states[n].threads) == 0 }

// accepts says that the text may end here.
func (m *machine) accepts(n int) bool {
	return slices.ContainsFunc(m.settled(n, -1), func(pc uint32) bool { return m.prog.Inst[pc].Op == syntax.InstMatch })
}

// step is the state behind a letter.
func (m *machine) step(n int, letter rune) int {
	if to, known := m.next[n][letter]; known {
		return to
	}
	var threads []uint32
	for _, pc := range m.settled(n, letter) {
		if in := &m.prog.Inst[pc]; consumes(in) && in.MatchRune(letter) {
			threads = append(threads, in.Out)
		}
	}
	slices.Sort(threads)
	to := m.of(state{slices.Compact(threads), sort(letter)})
	m.next[n][letter] = to
	return to
}

// settled follows what needs no character; after is what comes next, -1 the end.
func (m *machine) settled(n int, after rune) []uint32 {
	s := m.states[n]
	holds := syntax.EmptyOpContext(s.before, after)
	var out []uint32
	seen := map[uint32]bool{}
	for todo := slices.Clone(s.threads); len(todo) > 0; {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch in := &m.prog.Inst[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^holds == 0 {
				todo = append(todo, in.Out)
			}
		default:
			out = append(out, pc)
		}
	}
	return out
}
