package resource

import (
	"fmt"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
)

// removedEarly are the header fields that requests lose first of all.
func removedEarly(list []*corev3.TypedExtensionConfig) ([]string, error) {
	var out []string
	for i, x := range list {
		config, err := x.GetTypedConfig().UnmarshalNew()
		if err != nil {
			return nil, fmt.Errorf("early_header_mutation_extensions[%d]: %w", i, err)
		}
		m, ok := config.(*earlyv3.HeaderMutation)
		if !ok {
			return nil, fmt.Errorf("early_header_mutation_extensions[%d]: %s is not supported", i, config.ProtoReflect().Descriptor().FullName())
		}
		for j, change := range m.GetMutations() {
			name := strings.ToLower(change.GetRemove())
			if name == "" || name[0] == ':' {
				return nil, fmt.Errorf("early_header_mutation_extensions[%d]: mutations[%d]: only headers can be removed", i, j)
			}
			out = append(out, name)
		}
	}
	return out, nil
}
