package extauthz

import (
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	servicev3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// letIn does to the request, and later to the response, what the service says of
// a request that it lets in; all of it, or the request is refused.
func letIn(s *filter.Stream, how *servicev3.OkHttpResponse) filter.Verdict {
	if how == nil {
		return filter.Verdict{}
	}
	request, ok := mutations(how.GetHeaders(), requestAction)
	if !ok {
		return invalid()
	}
	response, ok := mutations(how.GetResponseHeadersToAdd(), responseAction)
	if !ok {
		return invalid()
	}
	target, ok := query(s.Request.Target, how)
	if !ok {
		return invalid()
	}
	s.Request.Fields = appendTo(request.Apply(s.Request.Fields), how.GetHeaders())
	var remove route.HeaderMutations
	for _, name := range how.GetHeadersToRemove() {
		if !filter.Reserved(name) {
			remove.Remove = append(remove.Remove, strings.ToLower(name))
		}
	}
	s.Request.Fields = remove.Apply(s.Request.Fields)
	s.Request.Target = target
	if len(response.Mutate) > 0 {
		response.Then = s.Change
		s.Change = response
	}
	return filter.Verdict{}
}

// mutations are the changes of headers that action knows; false: one of them
// cannot be.
func mutations(list []*corev3.HeaderValueOption, action func(*corev3.HeaderValueOption) (route.AppendAction, bool)) (*route.HeaderMutations, bool) {
	out := new(route.HeaderMutations)
	for _, h := range list {
		f, ok := filter.AnsweredField(h.GetHeader().GetKey(), h.GetHeader().GetValue())
		if !ok || corev3.HeaderValueOption_HeaderAppendAction_name[int32(h.GetAppendAction())] == "" {
			return nil, false
		}
		if act, ok := action(h); ok {
			out.Mutate = append(out.Mutate, route.HeaderMutation{Name: f.Name, Value: f.Value, Action: act})
		}
	}
	return out, true
}

var actions = map[corev3.HeaderValueOption_HeaderAppendAction]route.AppendAction{
	corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:    route.AppendIfExistsOrAdd,
	corev3.HeaderValueOption_ADD_IF_ABSENT:              route.AddIfAbsent,
	corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:        route.OverwriteIfExists,
	corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD: route.OverwriteIfExistsOrAdd,
}

// appends reads what authorizers said before there were actions: whether a value
// is appended, if they say anything.
func appends(h *corev3.HeaderValueOption) (yes, said bool) {
	//lint:ignore SA1019 authorizers still say it
	said = h.GetAppend() != nil
	//lint:ignore SA1019 and so
	return h.GetAppend().GetValue(), said
}

// requestAction is what is done to a field of the request, but to append to it.
func requestAction(h *corev3.HeaderValueOption) (route.AppendAction, bool) {
	yes, _ := appends(h)
	return route.OverwriteIfExistsOrAdd, !yes
}

// responseAction is what is done to a field of the response.
func responseAction(h *corev3.HeaderValueOption) (route.AppendAction, bool) {
	switch yes, said := appends(h); {
	case !said:
		return actions[h.GetAppendAction()], true
	case yes:
		return route.AppendIfExistsOrAdd, true
	}
	return route.OverwriteIfExistsOrAdd, true
}

// appendTo appends to the values of fields, where they are.
func appendTo(fields []message.Field, list []*corev3.HeaderValueOption) []message.Field {
	for _, h := range list {
		if yes, _ := appends(h); !yes {
			continue
		}
		name := strings.ToLower(h.GetHeader().GetKey())
		for i := range fields {
			if fields[i].Name == name {
				fields[i].Value += "," + h.GetHeader().GetValue()
				break
			}
		}
	}
	return fields
}

// answerWith gives the answer to the client these fields, in place of its own, but
// for those that are to be appended, which Envoy leaves out.
func answerWith(s *filter.Stream, list []*corev3.HeaderValueOption) bool {
	out := new(route.HeaderMutations)
	for _, h := range list {
		f, ok := filter.AnsweredField(h.GetHeader().GetKey(), h.GetHeader().GetValue())
		if !ok {
			return false
		}
		if yes, _ := appends(h); yes {
			continue
		}
		if !slices.Contains(out.Remove, f.Name) {
			out.Remove = append(out.Remove, f.Name)
		}
		out.Mutate = append(out.Mutate, route.HeaderMutation{Name: f.Name, Value: f.Value})
	}
	if len(out.Mutate) > 0 {
		out.Then = s.Change
		s.Change = out
	}
	return true
}

// query is the target with the query that the service wants: its parameters by
// name then, as Envoy writes them. false: one of them is not encoded.
func query(target string, how *servicev3.OkHttpResponse) (string, bool) {
	set, remove := how.GetQueryParametersToSet(), how.GetQueryParametersToRemove()
	if len(set)+len(remove) == 0 {
		return target, true
	}
	path, text, _ := strings.Cut(target, "?")
	params := map[string][]string{}
	for pair := range strings.SplitSeq(text, "&") {
		if pair != "" {
			name, value, _ := strings.Cut(pair, "=")
			params[name] = append(params[name], value)
		}
	}
	for _, p := range set {
		if !encoded(p.GetKey()) || !encoded(p.GetValue()) {
			return "", false
		}
		params[p.GetKey()] = []string{p.GetValue()}
	}
	for _, name := range remove {
		delete(params, name)
	}
	separator := "?"
	for _, name := range slices.Sorted(maps.Keys(params)) {
		for _, value := range params[name] {
			path += separator + name + "=" + value
			separator = "&"
		}
	}
	return path, true
}

// encoded: what the form serializer of URLs leaves as it is, as Envoy has it; no
// percent-encoded character is.
func encoded(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("-._*", c) < 0 {
			return false
		}
	}
	return true
}
