package changed

import (
	"errors"
	"slices"

	"github.com/meshc/meshc/compiler/model"
)

// SavedReads is a Reads as plain data.
type SavedReads struct {
	Names []model.Ref // each once
	Asked []int32     // unit, how many names it asked for, and which, over and over
}

// Save gives what r remembers. It shares names with r.
func (r *Reads) Save() SavedReads {
	size := 0
	for _, names := range r.asked {
		size += 2 + len(names)
	}
	out := SavedReads{Names: r.names, Asked: make([]int32, 0, size)}
	for unit, names := range r.asked {
		if len(names) > 0 {
			out.Asked = append(append(out.Asked, int32(unit), int32(len(names))), names...)
		}
	}
	return out
}

// errReads says that saved reads do not hold together.
var errReads = errors.New("who asked for whom is damaged")

// Reads gives what was saved, of so many units. It shares what it can with s.
func (s SavedReads) Reads(units int) (Reads, error) {
	r := Reads{number: make(map[model.Ref]int32, len(s.Names)), names: slices.Clip(s.Names), asked: make([][]int32, units)}
	for n, name := range s.Names {
		r.number[name] = int32(n)
	}
	if len(r.number) != len(s.Names) {
		return Reads{}, errReads
	}
	asked := make([]int32, len(s.Names)) // how often
	for rest := s.Asked; len(rest) > 0; {
		if len(rest) < 2 || rest[0] < 0 || int(rest[0]) >= units || rest[1] < 0 || int(rest[1]) > len(rest)-2 || r.asked[rest[0]] != nil {
			return Reads{}, errReads
		}
		unit, names := rest[0], rest[2:2+rest[1]]
		for _, n := range names {
			if n < 0 || int(n) >= len(s.Names) {
				return Reads{}, errReads
			}
			asked[n]++
		}
		r.asked[unit] = slices.Clip(names)
		rest = rest[2+len(names):]
	}
	r.askers = r.turned(asked)
	return r, nil
}

// turned gives who asked for each name, of which it is known how many do.
func (r *Reads) turned(asked []int32) [][]int32 {
	out, total := make([][]int32, len(asked)), int32(0)
	for _, n := range asked {
		total += n
	}
	room := make([]int32, total)
	for n, times := range asked {
		out[n], room = room[:0:times], room[times:]
	}
	for unit, names := range r.asked {
		for _, n := range names {
			out[n] = append(out[n], int32(unit))
		}
	}
	return out
}
