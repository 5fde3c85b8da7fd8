package http2

// The decoder reads four bits at a time: a state is an inner node of the code
// tree, and for each state and nibble there is the next state and at most one
// symbol, because no code is shorter than five bits.

type huffmanStep struct {
	next   uint8 // state; 0 is the root
	sym    byte
	emits  bool
	broken bool // EOS was met
}

var (
	huffmanSteps [256][16]huffmanStep
	// huffmanEnds are the states a string may end in: those reached from the
	// root by at most seven ones, the padding.
	huffmanEnds [256]bool
)

const eos = 256

// huffmanNode is an inner node of the tree while the table is made.
type huffmanNode struct {
	child [2]int // index of an inner node, or -1-symbol for a leaf
}

func init() {
	nodes := huffmanTree()
	for state := range nodes {
		for nibble := range 16 {
			huffmanSteps[state][nibble] = walkNibble(nodes, state, nibble)
		}
	}
	at := 0
	for range 8 {
		huffmanEnds[at] = true
		at = nodes[at].child[1]
	}
}

func walkNibble(nodes []huffmanNode, state, nibble int) (step huffmanStep) {
	at := state
	for bit := 3; bit >= 0; bit-- {
		next := nodes[at].child[nibble>>bit&1]
		if next >= 0 {
			at = next
			continue
		}
		sym := -1 - next
		if sym == eos {
			return huffmanStep{broken: true}
		}
		step.sym, step.emits = byte(sym), true
		at = 0
	}
	step.next = uint8(at)
	return step
}

// huffmanTree gives out the codes in order of length, then of symbol.
func huffmanTree() []huffmanNode {
	nodes := make([]huffmanNode, 1, 256)
	code, bits := uint32(0), uint8(5)
	for ; bits <= 30; bits++ {
		for sym, length := range huffmanLengths {
			if length != bits {
				continue
			}
			at := 0
			for bit := int(bits) - 1; bit > 0; bit-- {
				side := code >> bit & 1
				if nodes[at].child[side] == 0 {
					nodes = append(nodes, huffmanNode{})
					nodes[at].child[side] = len(nodes) - 1
				}
				at = nodes[at].child[side]
			}
			nodes[at].child[code&1] = -1 - sym
			code++
		}
		code <<= 1
	}
	return nodes
}

// appendHuffman appends what src stands for. It appends at most 8/5 of src.
func appendHuffman(dst, src []byte) ([]byte, bool) {
	state := uint8(0)
	for _, b := range src {
		step := &huffmanSteps[state][b>>4]
		if step.broken {
			return dst, false
		}
		if step.emits {
			dst = append(dst, step.sym)
		}
		step = &huffmanSteps[step.next][b&15]
		if step.broken {
			return dst, false
		}
		if step.emits {
			dst = append(dst, step.sym)
		}
		state = step.next
	}
	return dst, huffmanEnds[state]
}

// huffmanLengths are the code lengths of RFC 7541, appendix B, by symbol; 256 is
// EOS. The code is canonical, so the lengths say it all.
var huffmanLengths = [257]uint8{
	13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
	28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
	6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
	5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
	13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
	15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
	6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
	20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
	24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
	22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
	21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
	26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
	19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
	20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
	26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
	30,
}
