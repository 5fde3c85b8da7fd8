package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestCaptureShowsItsRules(t *testing.T) {
	cmd := newCaptureCmd()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--dry-run", "--uid=7", "--exclude-inbound-ports=9000,15021", "--exclude-outbound-cidrs=10.0.0.0/8", "--exclude-outbound-ports=22", "--include-outbound-cidrs=0.0.0.0/0"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"tcp dport 9000 return", "tcp dport 15021 return", "ip daddr 10.0.0.0/8 return", "tcp dport 22 return", "meta skuid 7 return", "ip daddr 0.0.0.0/0 redirect to :15001", "redirect to :15006"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestCaptureRefuses(t *testing.T) {
	for flag, want := range map[string]string{
		"--exclude-inbound-ports=x":           `"x" is not a port`,
		"--exclude-outbound-ports=65536":      `"65536" is not a port`,
		"--exclude-inbound-ports=0":           "port 0",
		"--include-outbound-cidrs=10.0.0.0":   "not a range",
		"--exclude-outbound-cidrs=10.1.0.0/8": "not a range",
		"--uid=0":                             "user 0",
	} {
		cmd := newCaptureCmd()
		cmd.SetArgs([]string{"--dry-run", flag})
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flag, err, want)
		}
	}
}
