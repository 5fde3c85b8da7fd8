package xds

import (
	"fmt"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshc/meshc/compiler/model"
)

// headerOptions says Set and Add. Envoy overwrites before it appends, whatever
// the order of the list.
func headerOptions(ops model.HeaderOps) ([]*corev3.HeaderValueOption, error) {
	var out []*corev3.HeaderValueOption
	for _, h := range ops.Set {
		out = append(out, headerOption(h, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD))
	}
	for _, h := range ops.Add {
		out = append(out, headerOption(h, corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD))
	}
	for _, h := range out {
		if err := changeable(h.Header.Key); err != nil {
			return nil, err
		}
	}
	for _, name := range ops.Remove {
		if err := changeable(name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// headerOption takes the value as it is written: '%' starts a command operator
// in Envoy and stands for itself when doubled.
func headerOption(h model.Header, action corev3.HeaderValueOption_HeaderAppendAction) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:         &corev3.HeaderValue{Key: h.Name, Value: strings.ReplaceAll(h.Value, "%", "%%")},
		AppendAction:   action,
		KeepEmptyValue: h.Value == "",
	}
}

// changeable refuses what Envoy refuses: a request's pseudo headers and host
// are not changed as headers.
func changeable(name string) error {
	if name == "" || strings.HasPrefix(name, ":") || strings.EqualFold(name, "host") {
		return fmt.Errorf("header %q cannot be changed by a route", name)
	}
	return nil
}
