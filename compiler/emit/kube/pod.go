package kube

import (
	"fmt"

	yaml "go.yaml.in/yaml/v3"
)

// pod is what is read of one.
type pod struct {
	Metadata metadata `yaml:"metadata"`
	Spec     struct {
		ServiceAccountName string        `yaml:"serviceAccountName"`
		ServiceAccount     string        `yaml:"serviceAccount"` // the same, of old
		HostNetwork        bool          `yaml:"hostNetwork"`
		Grace              *int64        `yaml:"terminationGracePeriodSeconds"`
		SecurityContext    *runsAs       `yaml:"securityContext"`
		InitContainers     []application `yaml:"initContainers"`
		Containers         []application `yaml:"containers"`
		Volumes            []struct {
			Name string `yaml:"name"`
		} `yaml:"volumes"`
	} `yaml:"spec"`
}

type runsAs struct {
	RunAsUser *int64 `yaml:"runAsUser"`
}

// application is a container that was there before.
type application struct {
	Name            string  `yaml:"name"`
	SecurityContext *runsAs `yaml:"securityContext"`
	Ports           []struct {
		Name   string `yaml:"name"`
		Number int    `yaml:"containerPort"`
	} `yaml:"ports"`
	LivenessProbe  *appProbe `yaml:"livenessProbe"`
	ReadinessProbe *appProbe `yaml:"readinessProbe"`
	StartupProbe   *appProbe `yaml:"startupProbe"`
}

// appProbe is how the kubelet asks one.
type appProbe struct {
	HTTPGet *struct {
		Path   string `yaml:"path"`
		Port   any    `yaml:"port"` // number, or name of a port of the container
		Host   string `yaml:"host"`
		Scheme string `yaml:"scheme"`
	} `yaml:"httpGet"`
	TCPSocket *struct {
		Port any    `yaml:"port"`
		Host string `yaml:"host"`
	} `yaml:"tcpSocket"`
	GRPC *struct {
		Port    int    `yaml:"port"`
		Service string `yaml:"service"`
	} `yaml:"grpc"`
}

func readPod(n *yaml.Node) (*pod, error) {
	p := new(pod)
	if err := n.Decode(p); err != nil {
		return nil, err
	}
	if len(p.Spec.Containers) == 0 {
		return nil, fmt.Errorf("its pods have no containers")
	}
	return p, nil
}
