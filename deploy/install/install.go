// Package install gives the manifests of an installation: the templates of the Helm
// chart, rendered, and what stands in deploy/crds and deploy/rbac. What is written down
// in the chart and in deploy/base from there is made by its test.
package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/deploy/chart"
	"github.com/meshc/meshc/deploy/crds"
	"github.com/meshc/meshc/deploy/rbac"
)

// Namespace is where meshc is installed. The identity of the controller is of it.
const Namespace = "meshc-system"

// Values are those of the chart: nested maps, as in its values.yaml.
type Values map[string]any

// Defaults are the values of the chart.
func Defaults() (Values, error) {
	text, err := chart.Files.ReadFile("values.yaml")
	if err != nil {
		return nil, err
	}
	var out Values
	if err := yaml.UnmarshalStrict(text, &out); err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	return out, nil
}

// Set changes one value, by the dotted path of one that is there.
func (v Values) Set(path, text string) error {
	at := map[string]any(v)
	parts := strings.Split(path, ".")
	for _, p := range parts[:len(parts)-1] {
		next, found := at[p].(map[string]any)
		if !found {
			return fmt.Errorf("there is no value %q", path)
		}
		at = next
	}
	name := parts[len(parts)-1]
	old, found := at[name]
	if _, nested := old.(map[string]any); !found || nested {
		return fmt.Errorf("there is no value %q", path)
	}
	var fresh any
	if err := yaml.Unmarshal([]byte(text), &fresh); err != nil {
		return fmt.Errorf("value %q: %w", path, err)
	}
	if _, is := old.(string); is {
		fresh = text
	}
	if fmt.Sprintf("%T", fresh) != fmt.Sprintf("%T", old) {
		return fmt.Errorf("value %q: %q is not like %v", path, text, old)
	}
	at[name] = fresh
	return nil
}

// role is one of deploy/rbac and who has it.
type role struct {
	text    []byte
	account string
	when    string // the value that it is for; "" for always
}

var roles = []role{
	{rbac.Controller, "meshc-controller", ""},
	{rbac.Discovery, "meshc-controller", ""},
	{rbac.CA, "meshc-controller", ""},
	{rbac.Roots, "meshc-controller", ".Values.inject.enabled"},
	{rbac.Inject, "meshc-inject", ".Values.inject.enabled"},
	{rbac.Webhook, "meshc-inject", ".Values.inject.enabled"},
}

// Roles is the template of the roles and of who has them.
func Roles() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("{{- /* Made from deploy/rbac by `MESHC_UPDATE=1 go test ./deploy/install`. */ -}}\n")
	for _, r := range roles {
		var head struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal(r.text, &head); err != nil {
			return nil, err
		}
		namespace := ""
		if head.Kind == "Role" {
			namespace = "\n  namespace: {{ .Release.Namespace }}"
		}
		text, name := string(bytes.TrimSpace(r.text)), "metadata:\n  name: "+head.Metadata.Name
		if strings.Count(text, name) != 1 {
			return nil, fmt.Errorf("%s %s: its metadata is not at its beginning", head.Kind, head.Metadata.Name)
		}
		labels := "\n  labels: {app.kubernetes.io/part-of: meshc}"
		begin, end := "", ""
		if r.when != "" {
			begin, end = "{{- if "+r.when+" }}\n", "{{- end }}\n"
		}
		fmt.Fprintf(&out, "%s---\n%s\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %sBinding\n%s\n"+
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: %s}\nsubjects:\n- {kind: ServiceAccount, name: %s, namespace: {{ .Release.Namespace }}}\n%s",
			begin, strings.Replace(text, name, name+namespace+labels, 1), head.Kind, name+namespace+labels, head.Kind, head.Metadata.Name, r.account, end)
	}
	return out.Bytes(), nil
}

// Definitions are the CustomResourceDefinitions, one document after the other.
func Definitions() ([]byte, error) {
	var out bytes.Buffer
	names, err := fs.Glob(crds.Files, "*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := crds.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	return out.Bytes(), nil
}

// Manifests gives the definitions, and everything else of an installation with these
// values.
func Manifests(v Values) ([]byte, error) {
	definitions, err := Definitions()
	if err != nil {
		return nil, err
	}
	rest, err := render(v)
	return append(definitions, rest...), err
}

// order is that of the templates: what others are in or need comes first.
var order = []string{"namespace.yaml", "roles.yaml", "controller.yaml", "inject.yaml", "mesh.yaml"}

func render(v Values) ([]byte, error) {
	data := map[string]any{"Values": map[string]any(v), "Release": map[string]any{"Name": "meshc", "Namespace": Namespace}}
	var out bytes.Buffer
	for _, name := range order {
		text, err := templateOf(name)
		if err != nil {
			return nil, err
		}
		t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{
			"fail": func(why string) (string, error) { return "", errors.New(why) },
		}).Parse(string(text))
		if err != nil {
			return nil, err
		}
		var one bytes.Buffer
		if err := t.Execute(&one, data); err != nil {
			return nil, err
		}
		if text := strings.TrimSpace(one.String()); text != "" {
			out.WriteString("---\n" + strings.TrimPrefix(text, "---\n") + "\n")
		}
	}
	return out.Bytes(), nil
}

// templateOf gives a template; that of the roles from what it is made of.
func templateOf(name string) ([]byte, error) {
	if name == "roles.yaml" {
		return Roles()
	}
	return chart.Files.ReadFile("templates/" + name)
}
