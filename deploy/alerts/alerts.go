// Package alerts has rules for Prometheus that tell of what ends and is not renewed.
package alerts

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Rules is the file of rules, as Prometheus reads it.
//
//go:embed meshc.yaml
var Rules []byte

// Rule is one alert.
type Rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// Parse gives the rules of all groups.
func Parse() ([]Rule, error) {
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []Rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(Rules, &file); err != nil {
		return nil, fmt.Errorf("alerts: %w", err)
	}
	var out []Rule
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	return out, nil
}

var metric = regexp.MustCompile(`\bmeshc_[a-z_]+\b`)

// Metrics are the names of the metrics that the rules go by, in order.
func Metrics() ([]string, error) {
	rules, err := Parse()
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, r := range rules {
		for _, name := range metric.FindAllString(r.Expr, -1) {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// OfController says whether a metric is one that a controller with an authority serves.
func OfController(name string) bool {
	return strings.HasPrefix(name, "meshc_ca_") || strings.HasPrefix(name, "meshc_cert_")
}

// OfProxy says whether a metric is one that a proxy serves.
func OfProxy(name string) bool {
	return strings.HasPrefix(name, "meshc_identity_") || strings.HasPrefix(name, "meshc_secret_") || strings.HasPrefix(name, "meshc_connections_")
}
