package changed

import (
	"errors"

	"github.com/meshc/meshc/compiler/model"
)

// SavedReads is a Reads as plain data.
type SavedReads struct {
	Names []model.Ref // each once
	Asked []int32     // unit, how many names it asked for, and which, over and over
}

// Save gives what r remembers.
func (r *Reads) Save() SavedReads {
	var out SavedReads
	number := make(map[model.Ref]int32, len(r.askers))
	for unit, names := range r.asked {
		out.Asked = append(out.Asked, unit, int32(len(names)))
		for _, name := range names {
			n, known := number[name]
			if !known {
				n = int32(len(out.Names))
				number[name] = n
				out.Names = append(out.Names, name)
			}
			out.Asked = append(out.Asked, n)
		}
	}
	return out
}

// errReads says that saved reads do not hold together.
var errReads = errors.New("who asked for whom is damaged")

// Reads gives what was saved, of so many units.
func (s SavedReads) Reads(units int) (Reads, error) {
	r := Reads{asked: make(map[int32][]model.Ref, units), askers: make(map[model.Ref][]int32, len(s.Names))}
	askers := make([][]int32, len(s.Names))
	for rest := s.Asked; len(rest) > 0; {
		if len(rest) < 2 || rest[0] < 0 || int(rest[0]) >= units || rest[1] < 0 || int(rest[1]) > len(rest)-2 {
			return Reads{}, errReads
		}
		unit, names := rest[0], rest[2:2+rest[1]]
		refs := make([]model.Ref, len(names))
		for i, n := range names {
			if n < 0 || int(n) >= len(s.Names) {
				return Reads{}, errReads
			}
			refs[i] = s.Names[n]
			askers[n] = append(askers[n], unit)
		}
		r.asked[unit] = append(r.asked[unit], refs...)
		rest = rest[2+len(names):]
	}
	for n, units := range askers {
		r.askers[s.Names[n]] = append(r.askers[s.Names[n]], units...)
	}
	return r, nil
}
