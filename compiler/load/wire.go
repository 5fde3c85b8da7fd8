package load

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// file is one file of the mesh as it was read.
type file struct {
	Path string // slash-separated, relative to the module root
	Data []byte
}

// request is everything that an evaluation depends on.
type request struct {
	Dir   string
	Files []file // sorted by path
	// Field asks what the mesh says about one field, instead of for the mesh.
	Field []string `json:",omitempty"`
	// Rules asks about rules, and not for the mesh: then the files are of rules.
	Rules *rulesRequest `json:",omitempty"`
}

// answer is what an evaluation gives.
type answer struct {
	Mesh  *intent.Mesh
	Diags diag.List
	// Whole says that the answer may be another one when the request holds the
	// whole mesh: a directory failed, or something refers across directories.
	Whole bool
	// Entries answer a request with a Field; Names are those that the mesh has
	// of that kind.
	Entries []Entry  `json:",omitempty"`
	Names   []string `json:",omitempty"`
	// Book and Verdicts answer a request about rules.
	Book     *intent.RuleBook       `json:",omitempty"`
	Verdicts [][]intent.RuleVerdict `json:",omitempty"`

	Spent time.Duration `json:"-"` // CPU time of the child, 0 of an answer that was known
}

// Frames between parent and child: one byte of kind, four bytes of length
// (big endian), JSON.
const (
	frameRequest  byte = 'Q'
	frameProgress byte = 'P' // a JSON string: what is being evaluated now
	frameAnswer   byte = 'A'
)

// errFrameTooLarge means that a frame exceeds what the reader accepts.
var errFrameTooLarge = errors.New("frame too large")

func writeFrame(w io.Writer, kind byte, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode frame %q: %w", kind, err)
	}
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)))
	if _, err := w.Write(append(head, body...)); err != nil {
		return fmt.Errorf("write frame %q: %w", kind, err)
	}
	return nil
}

// readFrame reads one frame; it reserves memory as bytes arrive and not by
// what the header promises.
func readFrame(r io.Reader, limit int64) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := int64(binary.BigEndian.Uint32(head[1:]))
	if size > limit {
		return head[0], nil, errFrameTooLarge
	}
	body, err = io.ReadAll(io.LimitReader(r, size))
	if err == nil && int64(len(body)) < size {
		err = io.ErrUnexpectedEOF
	}
	return head[0], body, err
}

// decodeAnswer reads the body of an answer.
func decodeAnswer(body []byte) (*answer, error) {
	ans := &answer{}
	if err := json.Unmarshal(body, ans); err != nil {
		return nil, fmt.Errorf("decode answer: %w", err)
	}
	if ans.Mesh == nil {
		return nil, errors.New("decode answer: no mesh")
	}
	return ans, nil
}
