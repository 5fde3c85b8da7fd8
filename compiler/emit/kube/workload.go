package kube

import (
	yaml "go.yaml.in/yaml/v3"
)

// workload is an object that has pods.
type workload struct {
	kind, namespace, name string
	meta                  metadata   // of the object itself
	pod                   *yaml.Node // the mapping that holds metadata and spec of its pods
	job                   bool       // its pods end
}

type metadata struct {
	Name        string            `yaml:"name"`
	Namespace   string            `yaml:"namespace"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// templates say where the pods of a kind are described.
var templates = map[string][]string{
	"v1 Pod":                   {},
	"v1 ReplicationController": {"spec", "template"},
	"apps/v1 Deployment":       {"spec", "template"},
	"apps/v1 StatefulSet":      {"spec", "template"},
	"apps/v1 DaemonSet":        {"spec", "template"},
	"apps/v1 ReplicaSet":       {"spec", "template"},
	"batch/v1 Job":             {"spec", "template"},
	"batch/v1 CronJob":         {"spec", "jobTemplate", "spec", "template"},
}

// workloads finds those of a document, and in a List.
func (i *injector) workloads(root *yaml.Node) []*workload {
	var out []*workload
	for _, n := range objects(root) {
		api, kind := text(n, "apiVersion"), text(n, "kind")
		path, known := templates[api+" "+kind]
		if !known {
			continue
		}
		w := &workload{kind: kind, pod: n, job: kind == "Job" || kind == "CronJob"}
		for _, name := range path {
			w.pod = field(w.pod, name)
		}
		if w.pod == nil {
			continue // the API server will say so
		}
		if meta := field(n, "metadata"); meta != nil && meta.Decode(&w.meta) != nil {
			continue
		}
		w.name, w.namespace = w.meta.Name, w.meta.Namespace
		if w.name == "" {
			w.name = text(field(n, "metadata"), "generateName")
		}
		if w.namespace == "" {
			w.namespace = i.opts.Namespace
		}
		out = append(out, w)
	}
	return out
}

// objects of a document: itself, or the items of a List.
func objects(root *yaml.Node) []*yaml.Node {
	if root == nil || len(root.Content) == 0 {
		return nil
	}
	top := root.Content[0]
	if text(top, "kind") != "List" {
		return []*yaml.Node{top}
	}
	items := field(top, "items")
	if items == nil || items.Kind != yaml.SequenceNode {
		return nil
	}
	return items.Content
}

// field gives the value of a key; nil where there is none.
func field(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != name {
			continue
		}
		v := n.Content[i+1]
		if v.Kind == yaml.AliasNode {
			return v.Alias
		}
		return v
	}
	return nil
}

func text(n *yaml.Node, name string) string {
	if v := field(n, name); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}
