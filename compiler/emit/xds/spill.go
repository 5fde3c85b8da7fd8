package xds

import (
	"os"
	"sync"
)

// spill is a file without a name that holds what was rendered until it is asked
// for again: a large mesh has more of it than a small machine has memory.
type spill struct {
	mu   sync.Mutex
	file *os.File // nil: there is none, and everything stays in memory
	size int64
	full bool // nothing goes there any more: a write has failed
}

// block is where a spill holds some bytes.
type block struct{ at, size int64 }

// newSpill makes the file. Without a place for one, memory has to do.
func newSpill() *spill {
	f, err := os.CreateTemp("", "meshc-render-*")
	if err != nil {
		return &spill{}
	}
	if os.Remove(f.Name()) != nil {
		_ = f.Close()
		return &spill{}
	}
	return &spill{file: f} // closed by the runtime when nobody holds it
}

// put keeps data; ok is false when it cannot.
func (s *spill) put(data []byte) (b block, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil || s.full {
		return b, false
	}
	b = block{s.size, int64(len(data))}
	if _, err := s.file.WriteAt(data, b.at); err != nil {
		s.full = true
		return b, false
	}
	s.size += b.size
	return b, true
}

// get reads what was put into data, which has its size.
func (s *spill) get(b block, data []byte) error {
	_, err := s.file.ReadAt(data, b.at)
	return err
}
