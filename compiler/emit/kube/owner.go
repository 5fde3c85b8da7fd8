package kube

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"github.com/meshc/meshc/compiler/model"
)

// selector is what a Service of the text says of its pods.
type selector struct {
	service model.Ref
	labels  map[string]string
}

// readServices keeps the Services that are services of the mesh.
func (i *injector) readServices(root *yaml.Node) {
	for _, n := range objects(root) {
		if text(n, "apiVersion") != "v1" || text(n, "kind") != "Service" {
			continue
		}
		var s struct {
			Metadata metadata `yaml:"metadata"`
			Spec     struct {
				Selector map[string]string `yaml:"selector"`
			} `yaml:"spec"`
		}
		if n.Decode(&s) != nil || len(s.Spec.Selector) == 0 {
			continue
		}
		ref := model.Ref{Namespace: cmp.Or(s.Metadata.Namespace, i.opts.Namespace), Name: s.Metadata.Name}
		if i.mesh.Service(ref) != nil {
			i.selectors = append(i.selectors, selector{ref, s.Spec.Selector})
		}
	}
}

// optedOut reads InjectKey of the pod and of its workload.
func optedOut(w *workload, p *pod) (bool, error) {
	for _, m := range []metadata{p.Metadata, w.meta} {
		for _, words := range []map[string]string{m.Labels, m.Annotations} {
			switch v := words[InjectKey]; v {
			case "", "enabled":
			case "disabled":
				return true, nil
			default:
				return false, fmt.Errorf("%s is %q; it is \"enabled\" or \"disabled\"", InjectKey, v)
			}
		}
	}
	return false, nil
}

// serviceOf gives the service of a pod, nil for a pod that is not of the mesh:
// the one that its label names, else the one whose Service in the text selects
// it, else the one that has its account. Whatever decides it, the account must
// be the service's: it is what callers verify.
func (i *injector) serviceOf(w *workload, p *pod) (*model.Service, error) {
	account := cmp.Or(p.Spec.ServiceAccountName, p.Spec.ServiceAccount, "default")
	if name := p.Metadata.Labels[ServiceLabel]; name != "" {
		ref := model.Ref{Namespace: w.namespace, Name: name}
		s := i.mesh.Service(ref)
		if s == nil {
			return nil, fmt.Errorf("its label %s names %s, which the mesh does not have", ServiceLabel, ref)
		}
		return s, sameAccount(s, account)
	}
	found := i.selecting(w, p)
	if len(found) == 0 {
		for _, s := range i.mesh.Services {
			if s.Namespace == w.namespace && s.ServiceAccount == account {
				found = append(found, s)
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], sameAccount(found[0], account)
	}
	var names []string
	for _, s := range found {
		names = append(names, s.Ref.String())
	}
	return nil, fmt.Errorf("its pods may be those of %s; say which by the label %s of the pod", strings.Join(names, " or "), ServiceLabel)
}

// selecting are the services whose Service selects the pod, each once.
func (i *injector) selecting(w *workload, p *pod) []*model.Service {
	var out []*model.Service
	for _, sel := range i.selectors {
		s := i.mesh.Service(sel.service)
		if sel.service.Namespace == w.namespace && within(sel.labels, p.Metadata.Labels) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func sameAccount(s *model.Service, account string) error {
	if s.ServiceAccount != account {
		return fmt.Errorf("it runs as account %q, and callers expect the pods of service %s to have %q", account, s.Ref, s.ServiceAccount)
	}
	return nil
}

// versionOf gives the one version whose labels the pod has.
func versionOf(s *model.Service, p *pod) (string, error) {
	var found, all []string
	for _, v := range s.Versions {
		all = append(all, fmt.Sprintf("%s %v", v.Name, v.Labels))
		if within(v.Labels, p.Metadata.Labels) {
			found = append(found, v.Name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("its pods have the labels of no version of service %s, which has %s", s.Ref, strings.Join(all, ", "))
	}
	return "", fmt.Errorf("its pods have the labels of several versions of service %s: %s", s.Ref, strings.Join(found, " and "))
}

// within says that all of some labels are among others.
func within(some, others map[string]string) bool {
	for name, value := range some {
		if v, ok := others[name]; !ok || v != value {
			return false
		}
	}
	return true
}

// check refuses pods that a proxy would break, or that would break it.
func (a *addition) check() error {
	spec := a.pod.Spec
	switch {
	case spec.HostNetwork:
		return fmt.Errorf("hostNetwork: the capture would lead the node's connections to the proxy; label it %s=disabled", InjectKey)
	case a.options.Classic && a.job:
		return errors.New("a proxy of the classic kind goes on running when the job has ended, so that the pod never ends")
	case a.options.Classic && a.service.Envoy && !a.service.Injection.Unheld:
		return errors.New("a classic Envoy cannot hold the application back: write hold: false for its service")
	}
	uid := int64(a.service.Injection.UID)
	if s := spec.SecurityContext; s != nil && s.RunAsUser != nil && *s.RunAsUser == uid {
		return fmt.Errorf("it runs as user %d, which is the proxy's", uid)
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if s := c.SecurityContext; s != nil && s.RunAsUser != nil && *s.RunAsUser == uid {
			return fmt.Errorf("container %q runs as user %d, which is the proxy's", c.Name, uid)
		}
		if slices.Contains([]string{captureName, proxyName, agentName}, c.Name) {
			return fmt.Errorf("it has a container %q already, and no annotation %s", c.Name, InjectedKey)
		}
	}
	for _, v := range spec.Volumes {
		if slices.Contains([]string{stateVolume, tokenVolume, rootVolume, secretsVolume}, v.Name) || strings.HasPrefix(v.Name, keysVolume+"-") {
			return fmt.Errorf("it has a volume %q already, and no annotation %s", v.Name, InjectedKey)
		}
	}
	return nil
}
