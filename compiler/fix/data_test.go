package fix_test

import (
	"testing"

	"github.com/meshc/meshc/compiler/fix"
)

// TestFixesInData writes other names and values into YAML, and makes every fix
// in JSON, whose commas stay right.
func TestFixesInData(t *testing.T) {
	for _, c := range []struct{ file, before, after string }{
		{
			"a.yaml",
			"service:\n  a: # a service\n    'ownr': team # of whom\n    ports: {http: {number: \"80\", protocol: htp}} # a port\n    versions: {v1: {}}\n    routes:\n      all:\n        timeout: 2 seconds\n        retries: {attempts: 2, on: [conect-failure]}\n        to:\n          v1: 100\n",
			"service:\n  a: # a service\n    owner: team # of whom\n    ports: {http: {number: 80, protocol: \"http\"}} # a port\n    versions: {v1: {}}\n    routes:\n      all:\n        timeout: \"2s\"\n        retries: {attempts: 2, on: [\"connect-failure\"]}\n        to:\n          v1: 100\n",
		},
		{
			"a.json",
			"{\"service\": {\"a\": {\n  \"ownr\": \"team\",\n  \"ports\": {\"http\": {\"number\": \"80\", \"protocol\": \"htp\"}},\n  \"versions\": {\"v1\": {}},\n  \"security\": {\"mtls\": \"strict\", \"allow\": [{\"from\": [\"*\"], \"methods\": [\"GET\", \"POST\", \"GET\"]}]}\n}}}\n",
			"{\"service\": {\"a\": {\n  \"owner\": \"team\",\n  \"ports\": {\"http\": {\"number\": 80, \"protocol\": \"http\"}},\n  \"versions\": {\"v1\": {}},\n  \"security\": {\"mtls\": \"strict\", \"allow\": [{\"from\": [\"*\"], \"methods\": [\"GET\", \"POST\"]}]}\n}}}\n",
		},
	} {
		out, err := fix.Mesh(t.Context(), mesh(c.file, c.before), opts, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Changes) != 1 || string(out.Changes[0].After) != c.after {
			t.Errorf("%d fixed in %s: %s", out.Fixed, c.file, out.Changes)
		}
	}
}
