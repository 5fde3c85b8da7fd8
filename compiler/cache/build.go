package cache

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
)

// buildIdentity tells this build of the compiler from every other: the linker's
// build ID, which depends on all that went in, or else the program's own hash.
var buildIdentity = sync.OnceValues(func() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(exe)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if id := buildID(f); len(id) > 0 {
		return hex.EncodeToString(id), nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", exe, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
})

// buildID gives the note that Go's linker leaves; nil without one.
func buildID(r io.ReaderAt) []byte {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil
	}
	note := f.Section(".note.go.buildid")
	if note == nil {
		return nil
	}
	const header = 16 // name and description sizes, type, "Go\0\0"
	data, err := note.Data()
	if err != nil || len(data) <= header {
		return nil
	}
	return data[header:]
}
