package schema

import (
	"embed"
	"fmt"
)

// PolicyPath names the version of the language of rules, and PolicyPackage the
// package that their files are of; PolicyDir is where they lie, relative to the
// module root.
const (
	PolicyPath    = "meshc.dev/policy/v1"
	PolicyPackage = "policies"
	PolicyDir     = "policies"
)

//go:embed policy/*.cue
var policyFS embed.FS

// PolicyFiles gives the content of every file of the language of rules by its
// name.
func PolicyFiles() map[string][]byte {
	files := map[string][]byte{}
	for _, name := range []string{"rule.cue", "view.cue"} {
		data, err := policyFS.ReadFile("policy/" + name)
		if err != nil {
			panic(fmt.Sprintf("schema: embedded file cannot be read: %v", err))
		}
		files[name] = data
	}
	return files
}
