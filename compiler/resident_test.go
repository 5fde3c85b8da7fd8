package compiler

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What only starting has touched is let go, and what is used comes back.
func TestForgetStart(t *testing.T) {
	before := residentFile(t)
	forgetStart()
	if after := residentFile(t); after >= before {
		t.Errorf("%d KiB of the program were in memory, and are %d KiB", before, after)
	}
}

func TestUnwritten(t *testing.T) {
	const smaps = `00400000-022e3000 r-xp 00000000 fe:00 9988483                            /usr/bin/meshc
Size:              31628 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
022e3000-04409000 r--p 01ee3000 fe:00 9988483                            /usr/bin/meshc
Anonymous:             8 kB
Swap:                  0 kB
04409000-0450d000 rw-p 04009000 fe:00 9988483                            /usr/bin/meshc
Anonymous:             0 kB
0450d000-0460d000 r--p 04009000 fe:00 9988483                            /usr/bin/meshc
Anonymous:             0 kB
Swap:                  4 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 77                         /lib/libc.so.6
Anonymous:             0 kB
c000000000-c004000000 rw-p 00000000 00:00 0
Anonymous:           512 kB
0560d000-0570d000 r--p 04009000 fe:00 9988483                            /usr/bin/meshc
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0x22e3000}, {0x560d000, 0x570d000}}
	if got := unwritten(strings.NewReader(smaps), "/usr/bin/meshc"); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// residentFile gives how much of files this process has in memory, in KiB.
func residentFile(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no RssFile in %s", status)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
