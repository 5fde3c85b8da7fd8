package compiler

import (
	"encoding/binary"
	"errors"
	"iter"
	"slices"

	"github.com/meshc/meshc/compiler/image"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/parallel"
)

// A picture is written in pieces, which are read by all processors: the frame,
// what was found of intent and of the model, what lowering knows, and services,
// some at a time. A piece with services that nobody changed is copied.
const (
	framePiece = iota
	intentPiece
	modelPiece
	lowerPiece
	servicePieces

	inPiece = 32 // services
)

var errPicture = errors.New("the state of the last compile is damaged")

// stretches are the pieces of a list of so many services.
func stretches(n int) [][2]int {
	var out [][2]int
	for from := 0; from < n; from += inPiece {
		out = append(out, [2]int{from, min(from+inPiece, n)})
	}
	return out
}

// atOnce is how many pieces are made before they are written: not all of them are
// in memory beside what they are made of.
const atOnce = 64

// parts writes a picture; was is the one before, of which pieces may be taken. Each
// piece stands behind its length.
func (p *picture) parts(was *picture) iter.Seq[[]byte] {
	if was == nil {
		was = &picture{}
	}
	return func(yield func([]byte) bool) {
		number := func(n int) bool { return yield(binary.AppendUvarint(nil, uint64(n))) }
		if !number(len(p.intents)) {
			return
		}
		list := stretches(len(p.intents))
		for from, count := 0, servicePieces+2*len(list); from < count; from += atOnce {
			pieces := make([][]byte, min(atOnce, count-from))
			parallel.Each(len(pieces), func(i int) { pieces[i] = p.written(from+i, list, was) })
			for _, piece := range pieces {
				if !number(len(piece)) || !yield(piece) {
					return
				}
			}
		}
	}
}

// written gives one piece.
func (p *picture) written(i int, list [][2]int, was *picture) []byte {
	var w image.Writer
	switch {
	case i == framePiece:
		w.Add(&p.frame)
	case i == intentPiece:
		w.Add(&p.checks.Config)
		w.Add(&p.checks.Intent)
	case i == modelPiece:
		w.Add(&p.checks.Model)
	case i == lowerPiece:
		w.Add(&p.lowers)
	case i%2 == 0:
		return pieceOf(p.intents, was.intents, list[(i-servicePieces)/2], was.piece(i))
	default:
		return pieceOf(p.models, was.models, list[(i-servicePieces)/2], was.piece(i))
	}
	return w.Bytes()
}

// piece gives a piece of the image that p was read from; nil where there is none.
func (p *picture) piece(i int) []byte {
	if i >= len(p.pieces) {
		return nil
	}
	return p.pieces[i]
}

// pieceOf writes a stretch of a list, or gives the piece that was read, if the
// list was the same there.
func pieceOf[T any](list, was []*T, at [2]int, piece []byte) []byte {
	now := list[at[0]:at[1]]
	if piece != nil && at[1] <= len(was) && slices.Equal(now, was[at[0]:at[1]]) {
		return piece
	}
	var w image.Writer
	w.Add(&now)
	return w.Bytes()
}

// readPicture reads what parts has written, which must not be changed from then on.
func readPicture(raw []byte) (*picture, error) {
	pieces, services, err := cut(raw)
	if err != nil {
		return nil, err
	}
	p := &picture{pieces: pieces}
	p.intents, p.models = make([]*intent.Service, services), make([]*model.Service, services)
	list := stretches(services)
	errs := make([]error, len(pieces))
	parallel.Each(len(pieces), func(i int) {
		r := image.NewReader(pieces[i])
		switch {
		case i == framePiece:
			errs[i] = r.Get(&p.frame)
		case i == intentPiece:
			errs[i] = errors.Join(r.Get(&p.checks.Config), r.Get(&p.checks.Intent))
		case i == modelPiece:
			errs[i] = r.Get(&p.checks.Model)
		case i == lowerPiece:
			errs[i] = r.Get(&p.lowers)
		case i%2 == 0:
			errs[i] = stretch(r, p.intents, list[(i-servicePieces)/2])
		default:
			errs[i] = stretch(r, p.models, list[(i-servicePieces)/2])
		}
		errs[i] = errors.Join(errs[i], r.End())
	})
	return p, errors.Join(errs...)
}

// stretch reads a part of a list, of things that are all there.
func stretch[T any](r *image.Reader, list []*T, at [2]int) error {
	var some []*T
	if err := r.Get(&some); err != nil {
		return err
	}
	if len(some) != at[1]-at[0] || slices.Contains(some, nil) {
		return errPicture
	}
	copy(list[at[0]:], some)
	return nil
}

// cut finds the pieces of an image, and of how many services it is.
func cut(raw []byte) (pieces [][]byte, services int, err error) {
	number := func() int {
		n, size := binary.Uvarint(raw)
		if size <= 0 || n > uint64(len(raw)) {
			err = errPicture
			return 0
		}
		raw = raw[size:]
		return int(n)
	}
	services = number()
	for count := servicePieces + 2*len(stretches(services)); len(pieces) < count && err == nil; {
		size := number()
		if size > len(raw) {
			err = errPicture
			break
		}
		pieces = append(pieces, raw[:size:size])
		raw = raw[size:]
	}
	if err != nil || len(raw) > 0 {
		return nil, 0, errPicture
	}
	return pieces, services, nil
}
