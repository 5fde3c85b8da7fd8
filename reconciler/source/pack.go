package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// readPack reads a whole pack into memory and checks, before anything is
// inflated for keeps, that its objects stay within limits: a few kilobytes of
// deltas can otherwise stand for gigabytes.
func readPack(r io.Reader, limits Limits) ([]byte, error) {
	pack, err := io.ReadAll(io.LimitReader(r, limits.PackBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(pack)) > limits.PackBytes {
		return nil, fmt.Errorf("%w: the pack is larger than %d bytes", ErrLimit, limits.PackBytes)
	}
	if err := measurePack(pack, limits.Inflated); err != nil {
		return nil, err
	}
	return pack, nil
}

// measurePack adds up what the objects of a pack claim to inflate to. The
// parser holds objects to their claims.
func measurePack(pack []byte, limit int64) error {
	scanner := packfile.NewScanner(bytes.NewReader(pack))
	_, count, err := scanner.Header()
	if err != nil {
		return fmt.Errorf("pack header: %w", err)
	}
	total := int64(0)
	for range count {
		size, err := objectSize(scanner, limit)
		if err != nil {
			return fmt.Errorf("pack object: %w", err)
		}
		if size > limit-total {
			return fmt.Errorf("%w: the pack inflates to more than %d bytes", ErrLimit, limit)
		}
		total += size
	}
	return nil
}

func objectSize(scanner *packfile.Scanner, limit int64) (int64, error) {
	header, err := scanner.NextObjectHeader()
	if err != nil {
		return 0, err
	}
	// Refused before it is inflated.
	if header.Length < 0 || header.Length > limit {
		return 0, fmt.Errorf("%w: one object claims %d bytes", ErrLimit, header.Length)
	}
	head := &prefix{}
	if _, _, err := scanner.NextObject(head); err != nil {
		return 0, err
	}
	if !header.Type.IsDelta() {
		return header.Length, nil
	}
	return head.deltaTarget()
}

// prefix keeps the first bytes written to it: a delta begins with the sizes of
// its base and of its target (gitformat-pack(5)).
type prefix struct {
	buf [2 * binary.MaxVarintLen64]byte
	n   int
}

func (p *prefix) Write(b []byte) (int, error) {
	p.n += copy(p.buf[p.n:], b)
	return len(b), nil
}

func (p *prefix) deltaTarget() (int64, error) {
	_, n := binary.Uvarint(p.buf[:p.n])
	if n <= 0 {
		return 0, fmt.Errorf("delta without a base size")
	}
	target, m := binary.Uvarint(p.buf[n:p.n])
	if m <= 0 || target > 1<<62 {
		return 0, fmt.Errorf("delta without a target size")
	}
	return int64(target), nil
}
