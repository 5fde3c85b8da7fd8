package local

import (
	"strings"
	"testing"
)

func TestConfigIsReadAndDefaultsAreFilled(t *testing.T) {
	c, err := ParseConfig([]byte(`
apps:
  - {service: web, version: v1, command: [web, --port, "80"], env: {A: b}}
  - {service: web, version: v2, command: [web], replicas: 3}
  - {service: web, version: v3, command: [web], replicas: 0}
gateways:
  - {name: edge, listen: {"80": "127.0.0.1:8080"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Network != DefaultNetwork {
		t.Errorf("network %q", c.Network)
	}
	for i, want := range []int{1, 3, 0} {
		if got := c.Apps[i].replicas(); got != want {
			t.Errorf("app %d: %d replicas, want %d", i, got, want)
		}
	}
	if empty, err := ParseConfig(nil); err != nil || len(empty.Apps) != 0 {
		t.Errorf("an empty file: %+v, %v", empty, err)
	}
}

// Every mistake is named with the line that it is in.
func TestConfigMistakesAreNamed(t *testing.T) {
	const app = "apps:\n  - {service: web, version: v1, command: [web]}\n"
	for want, text := range map[string]string{
		`line 2: field nets not found`: "apps: []\nnets: 127.1.0.0/16\n",
		`line 3: field cmd not found`:  "apps:\n  - service: web\n    cmd: [web]\n",
		`line 1: did not find`:         "apps: [\n",
		`more than one YAML document`:  "apps: []\n---\napps: []\n",

		`line 1: network "10.0.0.0/8" is not an IPv4 loopback`:                                  "network: 10.0.0.0/8\n",
		`line 2: network "127.1.0.0/30" is not an IPv4`:                                         "apps: []\nnetwork: 127.1.0.0/30\n",
		`line 1: network "::1/128" is not an IPv4`:                                              "network: ::1/128\n",
		`line 1: network "many" is not an IPv4`:                                                 "network: many\n",
		`line 2: apps[0]: service is missing`:                                                   "apps:\n  - version: v1\n",
		`line 2: apps[0]: version of service "web" is missing`:                                  "apps:\n  - service: web\n",
		`line 3: apps[1]: command of service "api" version "v"`:                                 app + "  - {service: api, version: v}\n",
		`line 3: apps[1]: command of service "api" version "w"`:                                 app + "  - {service: api, version: w, command: ['']}\n",
		`line 3: apps[1]: service "web" version "v1" is listed`:                                 app + "  - {service: web, version: v1, command: [web]}\n",
		`line 2: apps[0]: replicas of service "web" version "v1" is 101, not between 0 and 100`: "apps:\n  - {service: web, version: v1, command: [web], replicas: 101}\n",
		`is -1, not between 0 and 100`:                                                          "apps:\n  - {service: web, version: v1, command: [web], replicas: -1}\n",

		`line 2: gateways[0]: name is missing`:                    "gateways:\n  - listen: {}\n",
		`line 3: gateways[1]: gateway "edge" is listed twice`:     "gateways:\n  - name: edge\n  - name: edge\n",
		`line 2: gateways[0]: gateway "edge": "0" is not a port`:  "gateways:\n  - {name: edge, listen: {'0': '127.0.0.1:80'}}\n",
		`gateway "edge": "http" is not a port`:                    "gateways:\n  - {name: edge, listen: {http: '127.0.0.1:80'}}\n",
		`gateway "edge": listen address of port 80: not an ip:po`: "gateways:\n  - {name: edge, listen: {'80': localhost}}\n",
	} {
		if _, err := ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q\n got %v\nwant %s", text, err, want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("network: 127.3.0.0/16\napps:\n  - {service: web, version: v1, command: [web], replicas: 2}\ngateways:\n  - {name: edge, listen: {'80': '127.0.0.1:80'}}\n"))
	f.Add([]byte("apps: &a [*a]"))
	f.Add([]byte("a: &x {b: *x}\n---\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseConfig(raw)
		if err != nil {
			return
		}
		if err := c.validate(nil); err != nil {
			t.Errorf("accepted, and yet: %v", err)
		}
	})
}
