package fix_test

import (
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/diag"
)

// What a file that cannot be read, or a value that cannot be taken, says of
// other mistakes of the mesh.
func TestAFileThatCannotBeReadHidesNoOthers(t *testing.T) {
	const mistaken = "package mesh\nservice: a: {\n\tports: http: {number: 80, protocol: \"pigeon\"}\n\tversions: v1: {}\n\tuses: {other: {}, elsewhere: {}}\n\troutes: all: {\n\t\tto: v1: 90\n\t\ttimeout: \"soon\"\n\t}\n}\n"
	whole := []string{"MSH1003 a.cue:3:38", "MSH1010 a.cue:5:20", "MSH4002 a.cue:8:12"}
	for _, c := range []struct {
		name, file, text string
		want             []string
	}{
		{"CUE without its end", "b.cue", "package mesh\nservice: other: {\n\tports: http: {number: 80}\n", append(whole, "MSH1001 b.cue:3:28")},
		{"CUE about every service", "b.cue", "package mesh\nservice: [string]: {\n\towner: \"x\"\n", []string{"MSH1001 b.cue:3:13", "MSH1003 a.cue:3:38", "MSH4002 a.cue:8:12"}},
		{"CUE about this service", "b.cue", "package mesh\nservice: a: {\n\towner: \"x\"\n", []string{"MSH1001 b.cue:3:13", "MSH1003 a.cue:3:38", "MSH4002 a.cue:8:12"}},
		{"CUE that names what is used", "b.cue", "package mesh\nservice: elsewhere: {\n", []string{"MSH1001 b.cue:2:23", "MSH1003 a.cue:3:38", "MSH1010 a.cue:5:9", "MSH4002 a.cue:8:12"}},
		{"YAML that goes nowhere", "b.yaml", "service:\n  other:\n    ports: {http: {number: 80\n", append(whole, "MSH1001 b.yaml:2:1")},
		{"YAML of two meanings", "b.yaml", "service:\n  other:\n    owner: no\n    ports: {http: {number: 80, protocol: pigeon}}\n    versions: {v1: {}}\n", append(whole, "MSH1061 b.yaml:3:12", "MSH1003 b.yaml:4:42")},
		{"YAML that says a key twice", "b.yaml", "service:\n  other:\n    owner: x\n    owner: z\n    ports: {http: {number: 80, protocol: pigeon}}\n    versions: {v1: {}}\n", append(whole, "MSH1060 b.yaml:4:5", "MSH1003 b.yaml:5:42")},
		{"JSON that says a key twice", "b.json", "{\"service\": {\"other\": {\"owner\": \"x\", \"owner\": \"y\",\n\"versions\": {\"v1\": {}},\n\"ports\": {\"http\": {\"number\": 80, \"protocol\": \"pigeon\"}}}}}\n", append(whole, "MSH1060 b.json:1:38", "MSH1003 b.json:3:46")},
		{"YAML that is no mapping", "b.yaml", "service:\n  other: {ports: {http: {number: 80, protocol: http}}, versions: {v1: {}}}\n---\n- service: x\n", append(whole, "MSH1062 b.yaml:4:1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := mesh("a.cue", mistaken, c.file, c.text)
			var got []string
			for _, d := range vetted(t, fsys) {
				if d.Severity == diag.Error {
					got = append(got, string(d.Code)+" "+d.Range.String())
				}
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("want %q\nhave %q", c.want, got)
			}
		})
	}
}
