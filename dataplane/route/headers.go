package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// mutations decodes one level. Envoy runs a level's overwrites before its
// additions, whatever their order in the list.
func mutations(add []*corev3.HeaderValueOption, remove []string) (HeaderMutations, error) {
	var m HeaderMutations
	for _, name := range remove {
		if err := mutableName(name); err != nil {
			return m, err
		}
		m.Remove = append(m.Remove, lowerASCII(name))
	}
	for _, option := range add {
		mutation, err := headerMutation(option)
		if err != nil {
			return m, err
		}
		if mutation.Value == "" && !option.GetKeepEmptyValue() {
			continue
		}
		m.Mutate = append(m.Mutate, mutation)
	}
	slices.SortStableFunc(m.Mutate, func(a, b HeaderMutation) int { return phase(a.Action) - phase(b.Action) })
	return m, unambiguous(m.Mutate)
}

func phase(a AppendAction) int {
	if a == OverwriteIfExists || a == OverwriteIfExistsOrAdd {
		return 0
	}
	return 1
}

func headerMutation(option *corev3.HeaderValueOption) (HeaderMutation, error) {
	name := option.GetHeader().GetKey()
	if err := mutableName(name); err != nil {
		return HeaderMutation{}, err
	}
	value, err := literal(option.GetHeader().GetValue())
	if err != nil {
		return HeaderMutation{}, fmt.Errorf("header %q: %w", name, err)
	}
	m := HeaderMutation{Name: lowerASCII(name), Value: value}
	switch option.GetAppendAction() {
	case corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:
		m.Action = AppendIfExistsOrAdd
	case corev3.HeaderValueOption_ADD_IF_ABSENT:
		m.Action = AddIfAbsent
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
		m.Action = OverwriteIfExistsOrAdd
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
		m.Action = OverwriteIfExists
	default:
		return m, fmt.Errorf("header %q: append_action %v is not supported", name, option.GetAppendAction())
	}
	return m, nil
}

// unambiguous refuses a conditional mutation of a name that the same level
// mutates twice: Envoy judges conditions before any of the level's mutations,
// HeaderMutations.Apply as it goes, and only here could that show.
func unambiguous(list []HeaderMutation) error {
	count := make(map[string]int)
	for _, m := range list {
		count[m.Name]++
	}
	for _, m := range list {
		conditional := m.Action == AddIfAbsent || m.Action == OverwriteIfExists
		if conditional && count[m.Name] > 1 {
			return fmt.Errorf("header %q: a conditional append_action beside another mutation of the same header is not supported", m.Name)
		}
	}
	return nil
}

// mutableName follows Envoy: routing decides on pseudo headers and Host, so
// mutations may not touch them. Transfer framing belongs to the codec.
func mutableName(name string) error {
	switch lower := lowerASCII(name); {
	case strings.HasPrefix(name, ":") || lower == "host":
		return fmt.Errorf("header %q: pseudo headers and host may not be changed", name)
	case hopByHop[lower]:
		return fmt.Errorf("header %q belongs to the connection and may not be changed", name)
	case !isToken(name):
		return fmt.Errorf("header %q is not a valid field name", name)
	}
	return nil
}

var hopByHop = map[string]bool{
	"connection": true, "content-length": true, "keep-alive": true, "proxy-connection": true,
	"te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
}

// isToken: RFC 9110, 5.6.2.
func isToken(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// literal undoes Envoy's "%%" and refuses command operators and the bytes
// that would end a field.
func literal(value string) (string, error) {
	if strings.ContainsAny(value, "\r\n\x00") {
		return "", errors.New("value contains CR, LF or NUL")
	}
	if strings.IndexByte(value, '%') < 0 {
		return value, nil
	}
	if strings.Contains(strings.ReplaceAll(value, "%%", ""), "%") {
		return "", fmt.Errorf("value %q: command operators are not supported (write %%%% for a percent sign)", value)
	}
	return strings.ReplaceAll(value, "%%", "%"), nil
}
