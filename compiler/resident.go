package compiler

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetStart lets go of the pages of the program's own file that starting has
// brought into memory. Most are of what is linked in and never used by one command:
// the kernel brings sixteen pages for each that is touched. What is used again comes
// back from its cache of files. Where that cannot be done nothing is lost.
func forgetStart() {
	exe, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	for _, m := range unwritten(maps, exe) {
		// The error is of a kernel that keeps the pages.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

// mapping is a stretch of addresses.
type mapping struct{ from, to uintptr }

// unwritten gives the mappings of smaps (proc_pid_smaps(5)) that show a file just as it
// is: nobody can write there, and nobody has, as a linker does before it takes the
// right to write away. Letting go of such pages would lose what was written.
func unwritten(smaps io.Reader, file string) (out []mapping) {
	open := false // the last one of out is the one that lines are about
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Text()
		if m, mode, ok := heading(line); ok {
			if open = strings.HasPrefix(mode, "r-") && strings.HasSuffix(line, " "+file); open {
				out = append(out, m)
			}
			continue
		}
		if name, size, _ := strings.Cut(line, ":"); open && (name == "Anonymous" || name == "Swap") && strings.TrimSpace(size) != "0 kB" {
			out, open = out[:len(out)-1], false
		}
	}
	return out
}

// heading reads the line that a mapping begins with.
func heading(line string) (m mapping, mode string, ok bool) {
	var offset, inode uint64
	var device string
	n, _ := fmt.Sscanf(line, "%x-%x %s %x %s %d", &m.from, &m.to, &mode, &offset, &device, &inode)
	return m, mode, n == 6
}
