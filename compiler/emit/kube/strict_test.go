package kube_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	yamlv3 "go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// kinds are the types of the Kubernetes API, an independent reader of what is
// written here.
var kinds = map[string]func() any{
	"Pod":         func() any { return new(corev1.Pod) },
	"Service":     func() any { return new(corev1.Service) },
	"ConfigMap":   func() any { return new(corev1.ConfigMap) },
	"Deployment":  func() any { return new(appsv1.Deployment) },
	"StatefulSet": func() any { return new(appsv1.StatefulSet) },
	"DaemonSet":   func() any { return new(appsv1.DaemonSet) },
	"Job":         func() any { return new(batchv1.Job) },
	"CronJob":     func() any { return new(batchv1.CronJob) },
}

// strictly has the types of Kubernetes read every object, fields that they do
// not know and values that they cannot hold refused.
func strictly(t *testing.T, text []byte) {
	t.Helper()
	dec := yamlv3.NewDecoder(bytes.NewReader(text))
	for {
		var v map[string]any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		strictObject(t, v)
	}
}

func strictObject(t *testing.T, v map[string]any) {
	t.Helper()
	if v["kind"] == "List" {
		for _, item := range v["items"].([]any) {
			strictObject(t, item.(map[string]any))
		}
		return
	}
	kind, _ := v["kind"].(string)
	if kinds[kind] == nil {
		t.Fatalf("no type for %q", kind)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(raw, kinds[kind]()); err != nil {
		t.Errorf("%s: %v\n%s", kind, err, raw)
	}
}
