package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// Names of what is added.
const (
	captureName = "meshc-capture"
	agentName   = "meshc-agent"
	proxyName   = "meshc-proxy"

	stateVolume = "meshc-state"
	tokenVolume = "meshc-token"
	rootVolume  = "meshc-root"
)

// Places in the containers, and what is there.
const (
	stateDir  = "/run/meshc"
	tokenDir  = "/var/run/secrets/meshc.dev/token"
	rootDir   = "/etc/meshc/root"
	tokenFile = "token"
	RootFile  = "root.pem"

	// tokenAudience is that of the authority, so that the token opens nothing else.
	tokenAudience = "meshc-ca"
	tokenLife     = 3600 // seconds; the kubelet renews it in time

	healthPort = int(model.HealthPort)
	// killGrace is what the kubelet waits beyond the drain before it kills.
	killGrace = 5 * time.Second
)

// container is one that is added, in the words of the Kubernetes API.
type container struct {
	Name            string          `yaml:"name"`
	Image           string          `yaml:"image"`
	Args            []string        `yaml:"args"`
	RestartPolicy   string          `yaml:"restartPolicy,omitempty"`
	Env             []envVar        `yaml:"env,omitempty"`
	Resources       *resources      `yaml:"resources,omitempty"`
	SecurityContext securityContext `yaml:"securityContext"`
	StartupProbe    *probe          `yaml:"startupProbe,omitempty"`
	ReadinessProbe  *probe          `yaml:"readinessProbe,omitempty"`
	Lifecycle       *lifecycle      `yaml:"lifecycle,omitempty"`
	VolumeMounts    []mount         `yaml:"volumeMounts,omitempty"`
}

type envVar struct {
	Name      string `yaml:"name"`
	ValueFrom struct {
		FieldRef struct {
			FieldPath string `yaml:"fieldPath"`
		} `yaml:"fieldRef"`
	} `yaml:"valueFrom"`
}

type resources struct {
	Requests map[string]string `yaml:"requests,omitempty"`
	Limits   map[string]string `yaml:"limits,omitempty"`
}

type securityContext struct {
	AllowPrivilegeEscalation bool         `yaml:"allowPrivilegeEscalation"`
	Capabilities             capabilities `yaml:"capabilities"`
	ReadOnlyRootFilesystem   bool         `yaml:"readOnlyRootFilesystem"`
	RunAsGroup               int64        `yaml:"runAsGroup"`
	RunAsNonRoot             bool         `yaml:"runAsNonRoot"`
	RunAsUser                int64        `yaml:"runAsUser"`
	SeccompProfile           struct {
		Type string `yaml:"type"`
	} `yaml:"seccompProfile"`
}

type capabilities struct {
	Add  []string `yaml:"add,omitempty"`
	Drop []string `yaml:"drop"`
}

type probe struct {
	HTTPGet struct {
		Path string `yaml:"path"`
		Port int    `yaml:"port"`
	} `yaml:"httpGet"`
	PeriodSeconds    int `yaml:"periodSeconds"`
	FailureThreshold int `yaml:"failureThreshold"`
	TimeoutSeconds   int `yaml:"timeoutSeconds"`
}

type lifecycle struct {
	PostStart *hook `yaml:"postStart,omitempty"`
	PreStop   *hook `yaml:"preStop,omitempty"`
}

type hook struct {
	Exec  *execHook  `yaml:"exec,omitempty"`
	Sleep *sleepHook `yaml:"sleep,omitempty"`
}

type execHook struct {
	Command []string `yaml:"command"`
}

type sleepHook struct {
	Seconds int64 `yaml:"seconds"`
}

type mount struct {
	Name      string `yaml:"name"`
	MountPath string `yaml:"mountPath"`
	ReadOnly  bool   `yaml:"readOnly,omitempty"`
}

// addition is what one pod gets.
type addition struct {
	options *Options
	mesh    *model.Mesh
	service *model.Service
	version string
	pod     *pod
	job     bool
}

func confined(user int64, add ...string) securityContext {
	s := securityContext{
		Capabilities: capabilities{Add: add, Drop: []string{"ALL"}}, ReadOnlyRootFilesystem: true,
		RunAsUser: user, RunAsGroup: user, RunAsNonRoot: user != 0,
	}
	s.SeccompProfile.Type = "RuntimeDefault"
	return s
}

func (a *addition) image() string {
	switch i := a.service.Injection.Image; {
	case i != "":
		return i
	case a.service.Envoy:
		return EnvoyImage
	}
	return ProxyImage
}

// agentImage holds meshc-proxy, whatever the proxy is.
func (a *addition) agentImage() string {
	switch i := a.service.Injection.AgentImage; {
	case !a.service.Envoy:
		return a.image()
	case i != "":
		return i
	}
	return ProxyImage
}

// capture is the init container that installs the redirect.
func (a *addition) capture() container {
	i := &a.service.Injection
	args := []string{
		"capture", fmt.Sprintf("--uid=%d", i.UID),
		fmt.Sprintf("--inbound-port=%d", model.CaptureInboundPort), fmt.Sprintf("--outbound-port=%d", model.CaptureOutboundPort),
	}
	list := func(flag string, values []string) {
		if len(values) > 0 {
			args = append(args, flag+"="+strings.Join(values, ","))
		}
	}
	list("--exclude-inbound-ports", written(append([]uint16{model.HealthPort}, i.ExcludeInbound...)))
	list("--include-outbound-cidrs", written(i.IncludeOutbound))
	list("--exclude-outbound-cidrs", written(i.ExcludeOutbound))
	list("--exclude-outbound-ports", written(append([]uint16{model.DNSPort}, i.ExcludeOutboundPorts...)))
	return container{
		Name: captureName, Image: a.agentImage(), Args: args, Resources: a.resources(),
		SecurityContext: confined(0, "NET_ADMIN"),
	}
}

func written[T any](list []T) []string {
	var out []string
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

func (a *addition) resources() *resources {
	out := &resources{Requests: amounts(a.service.Injection.Requests), Limits: amounts(a.service.Injection.Limits)}
	if out.Requests == nil && out.Limits == nil {
		return nil
	}
	return out
}

func amounts(q model.Quantities) map[string]string {
	var out map[string]string
	for name, value := range map[string]string{"cpu": q.CPU, "memory": q.Memory} {
		if value == "" {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	return out
}

// running is a container that runs beside the application.
func (a *addition) running(name, image string, args []string) container {
	c := container{
		Name: name, Image: image, Args: args, Resources: a.resources(),
		SecurityContext: confined(int64(a.service.Injection.UID)),
		VolumeMounts:    []mount{{Name: stateVolume, MountPath: stateDir}},
	}
	if !a.options.Classic {
		c.RestartPolicy = "Always"
	}
	return c
}

// proxies are the containers beside the application, in the order in which
// they start; the last one is the proxy.
func (a *addition) proxies(secrets []source) ([]container, error) {
	boot, err := a.bootstrap()
	if err != nil {
		return nil, err
	}
	if !a.service.Envoy {
		args := append([]string{"--config-yaml=" + boot}, a.identity()...)
		args = append(args, secretArgs(secrets)...)
		args = append(args, "--last-good="+stateDir+"/last-good", "--drain-timeout="+a.service.Injection.Drain.String(), "--log-level="+a.service.Injection.LogLevel)
		c := a.named(a.running(proxyName, a.image(), append(args, a.health()...)))
		a.guard(&c)
		return []container{a.trusted(c, secrets)}, nil
	}
	args := append([]string{"agent", "--socket=" + agentSocket}, a.identity()...)
	args = append(append(args, "--envoy-admin-socket="+adminSocket), secretArgs(secrets)...)
	agent := a.trusted(a.running(agentName, a.agentImage(), append(args, a.health()...)), secrets)
	envoy := a.named(a.running(proxyName, a.image(), []string{"--config-yaml", boot, "--log-level", envoyLevel(a.service.Injection.LogLevel)}))
	envoy.Lifecycle = &lifecycle{PreStop: &hook{Sleep: &sleepHook{seconds(a.service.Injection.Drain)}}}
	a.guard(&envoy)
	return []container{agent, envoy}, nil
}

const (
	agentSocket = stateDir + "/agent.sock"
	adminSocket = stateDir + "/admin.sock"
)

func envoyLevel(level string) string {
	if level == "warn" {
		return "warning"
	}
	return level
}

func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// named gives a container the name of its pod, which its node id has.
func (a *addition) named(c container) container {
	e := envVar{Name: "POD_NAME"}
	e.ValueFrom.FieldRef.FieldPath = "metadata.name"
	c.Env = []envVar{e}
	return c
}

// trusted gives a container what it gets its identity with, and the certificates
// that the mesh names.
func (a *addition) trusted(c container, secrets []source) container {
	c.VolumeMounts = append(c.VolumeMounts, mount{tokenVolume, tokenDir, true}, mount{rootVolume, rootDir, true})
	if len(secrets) > 0 {
		c.VolumeMounts = append(c.VolumeMounts, mount{secretsVolume, secretsDir, true})
	}
	return c
}

// guard makes the pod wait for the proxy, and the application as well where it
// is held.
func (a *addition) guard(c *container) {
	ready := func(period, threshold int) *probe {
		p := &probe{PeriodSeconds: period, FailureThreshold: threshold, TimeoutSeconds: 3}
		p.HTTPGet.Path, p.HTTPGet.Port = "/ready", healthPort
		return p
	}
	c.ReadinessProbe = ready(5, 3)
	switch held := !a.service.Injection.Unheld; {
	case held && a.options.Classic:
		if c.Lifecycle == nil {
			c.Lifecycle = &lifecycle{}
		}
		c.Lifecycle.PostStart = &hook{Exec: &execHook{[]string{"/meshc-proxy", "wait", "--address=127.0.0.1:" + strconv.Itoa(healthPort)}}}
	case held:
		c.StartupProbe = ready(1, 600)
	}
}

func (a *addition) identity() []string {
	return []string{
		"--ca-address=" + a.options.CA, "--ca-root=" + rootDir + "/" + RootFile, "--token-file=" + tokenDir + "/" + tokenFile,
		"--spiffe-id=" + a.service.SPIFFEID, "--identity-dir=" + stateDir + "/identity",
	}
}

// health is what the kubelet may ask.
func (a *addition) health() []string {
	out := []string{fmt.Sprintf("--health-address=:%d", healthPort)}
	for _, p := range a.rewritten() {
		out = append(out, "--probe="+p.path()+"="+p.target)
	}
	return out
}

// bootstrap is on one line; the kubelet puts the pod's name into it.
func (a *addition) bootstrap() (string, error) {
	b, err := xds.Bootstrap(xds.BootstrapOptions{
		NodeID:  fmt.Sprintf("%s~%s/$(POD_NAME)", model.RoleSidecar, a.service.Namespace),
		Cluster: a.service.Ref.String(), Version: a.version,
		AdminSocket: adminSocket, AgentSocket: agentSocket,
		Envoy: a.service.Envoy, Metrics: a.service.Metrics,
		Controller: a.options.Controller, ControllerID: a.options.ControllerID,
	})
	if err != nil {
		return "", err
	}
	raw, err := xds.JSON(b)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = json.Compact(&out, raw)
	return out.String(), err
}
