package literal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// logOperators are the command operators that an access log may use and that
// mean the same in Envoy and meshc-proxy, by what follows their name.
var logOperators = map[string]argument{
	"START_TIME": none, "DURATION": none, "RESPONSE_CODE": none, "RESPONSE_CODE_DETAILS": none, "RESPONSE_FLAGS": none,
	"BYTES_RECEIVED": none, "BYTES_SENT": none, "PROTOCOL": none, "UPSTREAM_CLUSTER": none, "UPSTREAM_HOST": none,
	"ROUTE_NAME": none, "DOWNSTREAM_PEER_URI_SAN": none, "DOWNSTREAM_REMOTE_ADDRESS": none,
	"DOWNSTREAM_LOCAL_ADDRESS": none, "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": none,
	"REQ": header, "RESP": header,
	"METADATA": metadata, "DYNAMIC_METADATA": audited,
}

// AuditKey is what is noted of an audited request: which rule held.
const AuditKey = "audit_shadow_effective_policy_id"

// argument is what an operator takes in parentheses.
type argument uint8

const (
	none argument = iota
	header
	metadata
	audited
)

var (
	headerArgument   = regexp.MustCompile(`^\((:?[A-Za-z0-9!#$&'*+.^_|~-]+)(\?:?[A-Za-z0-9!#$&'*+.^_|~-]+)?\)(:[1-9][0-9]{0,5})?$`)
	auditedArgument  = regexp.MustCompile(`^\(envoy\.filters\.(http|network)\.rbac:` + AuditKey + `\)(:[1-9][0-9]{0,5})?$`)
	metadataArgument = regexp.MustCompile(`^\(ROUTE:meshc\.dev:[A-Za-z0-9_-]+\)(:[1-9][0-9]{0,5})?$`)
)

// LogOperators lists the operators by name, sorted.
func LogOperators() []string {
	var out []string
	for name := range logOperators {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// LogFormatError says which operator of a format is wrong; Name is what stands
// between the percent signs, up to its argument.
type LogFormatError struct{ Name, Reason string }

func (e *LogFormatError) Error() string { return e.Reason }

// LogFormat judges the text of an access log: literal text, "%%", and command
// operators "%NAME%", "%NAME(ARGUMENT)%" or "%NAME(ARGUMENT):LENGTH%" in
// Envoy's notation.
func LogFormat(text string) error {
	for {
		before, rest, found := strings.Cut(text, "%")
		if strings.ContainsFunc(before, func(r rune) bool { return r < ' ' && r != '\t' }) {
			return &LogFormatError{Reason: "the format holds a control character"}
		}
		if !found {
			return nil
		}
		op, after, closed := strings.Cut(rest, "%")
		switch {
		case !closed:
			return &LogFormatError{Reason: fmt.Sprintf("operator %q has no closing %%", Clip("%"+rest))}
		case op != "": // "%%" is a percent sign
			if err := logOperator(op); err != nil {
				return err
			}
		}
		text = after
	}
}

func logOperator(op string) error {
	name, arg := op, ""
	if i := strings.IndexByte(op, '('); i >= 0 {
		name, arg = op[:i], op[i:]
	}
	kind, known := logOperators[name]
	ok := false
	switch {
	case !known:
		return &LogFormatError{Name: name, Reason: fmt.Sprintf("%q is not an operator of access logs", Clip("%"+op+"%"))}
	case kind == none:
		ok = arg == ""
	case kind == header:
		ok = headerArgument.MatchString(arg)
	case kind == audited:
		ok = auditedArgument.MatchString(arg)
	case kind == metadata:
		ok = metadataArgument.MatchString(arg)
	}
	if !ok {
		return &LogFormatError{Name: name, Reason: fmt.Sprintf("operator %q cannot take this argument", Clip("%"+op+"%"))}
	}
	return nil
}
