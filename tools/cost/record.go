package cost

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Record is what a bench prints, with the commit that it began on: others may go
// on meanwhile.
type Record struct {
	raw    strings.Builder
	commit string
}

// Begin says which commit is measured, and where.
func Begin() *Record {
	r := &Record{commit: output("git", "rev-parse", "--short=12", "HEAD")}
	r.Say("commit %s, %s", r.commit, machine())
	return r
}

// Say prints a line and keeps it.
func (r *Record) Say(format string, args ...any) {
	line := fmt.Sprintf(format+"\n", args...)
	fmt.Print(line)
	r.raw.WriteString(line)
}

// Head is the line above rows.
func (r *Record) Head() {
	r.Say("%-9s %-40s %9s %9s %9s", "services", "what", "wall s", "CPU s", "RSS MiB")
}

// Row is a measurement of a mesh with so many services.
func (r *Record) Row(services int, what string, s Sample) {
	r.Say("%-9d %-40s %9.3f %9.3f %9d", services, what, s.Wall.Seconds(), s.CPU.Seconds(), s.RSS>>20)
}

// Keep writes all lines to a file of the commit's name in a directory.
func (r *Record) Keep(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.commit+".txt"), []byte(r.raw.String()), 0o644)
}

// machine says where the figures come from, and how busy it was.
func machine() string {
	load, _ := os.ReadFile("/proc/loadavg")
	info, _ := os.ReadFile("/proc/cpuinfo")
	cpu, cores := "", 0
	for line := range strings.Lines(string(info)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			cpu, cores = strings.TrimSpace(v), cores+1
		}
	}
	return fmt.Sprintf("%s, %d × %s, load before %s", output("uname", "-srm"), cores, cmp.Or(cpu, "unknown CPU"), strings.TrimSpace(string(load)))
}

// output is what a command prints, "unknown" where it fails.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
