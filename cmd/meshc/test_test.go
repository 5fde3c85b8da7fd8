package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBookinfoIsAsExpected runs the expectations of the example, as its CI does.
func TestBookinfoIsAsExpected(t *testing.T) {
	out := command(t, 0, "test", "../../examples/bookinfo/mesh")
	if !strings.HasSuffix(out, "9 of 9 expectations: 9 hold\n") {
		t.Errorf("meshc test of Bookinfo printed:\n%s", out)
	}
}

// TestReplaysAreCommands: the commands that counterexamples come with say of the
// request what the counterexample says.
func TestReplaysAreCommands(t *testing.T) {
	dir := t.TempDir()
	command(t, 0, "init", dir)
	expected := []byte(`package mesh

service: api: expect: {
	a: {every: [{method: "PURGE", headers: "x-a": contains: "it's $HOME", cookies: c: suffix: "'x"}], timeout: "1s"}
	b: {every: [{query: q: regex: "[^a-z]{2}", path: prefix: "/a'b"}], timeout: "1s"}
	c: {every: [{path: regex: "/[^a-z]+"}], timeout: "1s"}
}
gateway: edge: expect: d: {every: [{host: suffix: ".example", headers: "x-a": regex: "..+"}], timeout: "1s"}
`)
	if err := os.WriteFile(filepath.Join(dir, "shop", "expect.cue"), expected, 0o600); err != nil {
		t.Fatal(err)
	}
	var result struct {
		Results []struct{ Verdict, Why, Replay string }
	}
	out := command(t, 1, "test", "-o", "json", dir)
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, r := range result.Results {
		if r.Verdict != "fails" {
			continue
		}
		tried++
		words, err := exec.Command("sh", "-c", `printf '%s\0' `+r.Replay).Output()
		if err != nil {
			t.Fatalf("%s is no command: %v", r.Replay, err)
		}
		args := strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00")
		said := command(t, 0, append(args[1:], "--dir", dir)...)
		if r.Why == "" || !strings.Contains(said, ": "+r.Why+"\n") {
			t.Errorf("%s says\n%s, want %s", r.Replay, said, r.Why)
		}
	}
	if tried != 4 {
		t.Errorf("%d replays, want 4:\n%s", tried, out)
	}
}
