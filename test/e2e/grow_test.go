package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"testing"
	"time"
)

// starsService is a service that was not there when the mesh was started.
const starsService = `package mesh

service: stars: {
	owner: "team-catalog"
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: {mtls: "strict", allow: [{from: ["productpage"], methods: ["GET"]}]}
}
`

func app(service, version string) string {
	return fmt.Sprintf("  - service: %s\n    version: %s\n    command: [%s]\n    env: {LISTEN: \"${LISTEN_HTTP}\", VERSION: %s, RATINGS_URL: \"http://${ADDR_RATINGS_HTTP}\"}\n",
		service, version, strings.Replace(service, "stars", "ratings", 1), version)
}

// edit changes one file of the working tree.
func (m *mesh) edit(name, old, new string) {
	m.t.Helper()
	err := m.Edit(name, func(s string) string {
		if !strings.Contains(s, old) {
			m.t.Fatalf("%s does not contain %q", name, old)
		}
		return strings.Replace(s, old, new, 1)
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

// A running mesh grows and shrinks by commits alone: nothing is restarted and
// no request fails.
func TestMeshGrowsAndShrinks(t *testing.T) {
	m := started(t)
	up := m.up.Process.Pid
	productpage := m.pid("app-productpage-v1-0")
	users := m.traffic(4)

	m.stage(users, "a service, and a dependency on it")
	m.edit("local.yaml", "apps:\n", "apps:\n"+strings.Replace(app("stars", "v1"), `, RATINGS_URL: "http://${ADDR_RATINGS_HTTP}"`, "", 1))
	m.edit("shop/productpage.cue", "reviews: {}}", "reviews: {}, stars: {}}")
	m.programmed(m.write(map[string]string{"shop/stars.cue": starsService}), 8)
	out := m.workload("productpage-v1-0").Outbound["default/stars:9080"]
	m.eventually("productpage's sidecar reaches stars", func() error { return reaches(out) })

	m.stage(users, "a version and half of the traffic to it, in one commit")
	m.edit("local.yaml", "  - service: ratings\n", app("reviews", "v4")+"  - service: ratings\n")
	m.programmed(m.write(reviews(4, "{v1: 50, v4: 50}")), 9)
	users.more(200)
	if users.Version("v4") == 0 {
		t.Error("no request went to the new version")
	}

	m.stage(users, "another version takes the place of both, in one commit")
	m.edit("local.yaml", app("reviews", "v4"), app("reviews", "v5"))
	next := reviews(4, "v5: 100")
	next["shop/reviews.cue"] = strings.Replace(next["shop/reviews.cue"], "v4: {}", "v5: {}", 1)
	m.programmed(m.write(next), 9)
	users.more(200)
	if users.Version("v5") == 0 {
		t.Error("no request went to the version in its place")
	}
	m.gone("reviews-v4-0")

	m.stage(users, "the version is removed again, together with its traffic")
	m.programmed(m.write(reviews(3, "v1: 100")), 8)
	m.gone("reviews-v5-0")
	m.edit("local.yaml", app("reviews", "v5"), "")

	m.stage(users, "a second instance, and back to one")
	m.edit("local.yaml", "    version: v1\n    command: [reviews]", "    version: v1\n    replicas: 2\n    command: [reviews]")
	m.programmed(m.commit(), 9)
	m.eventually("productpage's sidecar knows the second instance", func() error {
		return m.knows("productpage-v1-0", m.workload("reviews-v1-1").Inbound[9080])
	})
	users.more(200)
	m.edit("local.yaml", "    replicas: 2\n", "")
	m.programmed(m.commit(), 8)
	m.gone("reviews-v1-1")

	m.stage(users, "the service goes")
	m.edit("shop/productpage.cue", ", stars: {}}", "}")
	if err := os.Remove(m.Repo + "/shop/stars.cue"); err != nil {
		t.Fatal(err)
	}
	m.programmed(m.commit(), 7)
	users.more(200)
	m.gone("stars-v1-0")
	m.stage(users, "the end")
	users.end()
	if got := m.pid("app-productpage-v1-0"); got != productpage || m.up.Process.Pid != up {
		t.Error("productpage was restarted")
	}
	for _, problem := range []string{`service "default/reviews" has no version "v5"`, `no service "stars"`} {
		if !strings.Contains(m.out.String(), problem) {
			t.Errorf("meshc up does not say what of local.yaml the mesh does not know: %s", problem)
		}
	}
}

// stage says what comes and how many requests have failed so far.
func (m *mesh) stage(users *traffic, what string) {
	total, failed, _ := users.Counts()
	m.t.Logf("%s: %s (%d requests, %d failed)", time.Now().Format("05.000"), what, total, failed)
}

// gone waits until neither the application nor the sidecar of a workload runs.
func (m *mesh) gone(workload string) {
	m.t.Helper()
	m.eventually(workload+" is gone", func() error {
		var pids map[string]int
		m.decode("processes.json", &pids)
		for _, name := range []string{"app-" + workload, "sidecar-" + workload} {
			if _, there := pids[name]; there {
				return fmt.Errorf("%s runs", name)
			}
		}
		return nil
	})
}

// knows says whether a sidecar's configuration has the address.
func (m *mesh) knows(workload, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	socket := filepath.Join(m.state(), "proxies", "sidecar-default."+workload, "admin.sock")
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }}}
	resp, err := client.Get("http://localhost/config_dump")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	dump, err := io.ReadAll(resp.Body)
	if err == nil && !(bytes.Contains(dump, []byte(host)) && bytes.Contains(dump, []byte(port))) {
		err = fmt.Errorf("no %s in %d bytes of configuration", addr, len(dump))
	}
	return err
}

func reaches(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	status, err := ask(conn, "GET", "/ratings/0")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}
