package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) destination() *intent.Destination {
	return &intent.Destination{
		Version: c.name(), RequestHeaders: c.headerOps("requestHeaders"), ResponseHeaders: c.headerOps("responseHeaders"), At: c.label(),
	}
}

func (c cursor) redirect() *intent.Redirect {
	r, ok := c.field("redirect")
	if !ok {
		return nil
	}
	return &intent.Redirect{
		Scheme:    r.optionalText("scheme"),
		Host:      r.optionalText("host"),
		Port:      r.optionalNumber("port"),
		Path:      r.optionalText("path"),
		Prefix:    r.optionalText("prefix"),
		Status:    r.optionalNumber("status"),
		KeepQuery: r.optionalTruth("keepQuery"),
		At:        r.label(),
	}
}

func (c cursor) respond() *intent.Respond {
	r, ok := c.field("respond")
	if !ok {
		return nil
	}
	return &intent.Respond{
		Status: r.required("status").number(), Body: r.optionalText("body"), ContentType: r.optionalText("contentType"), At: r.label(),
	}
}

func (c cursor) rewrite() *intent.Rewrite {
	r, ok := c.field("rewrite")
	if !ok {
		return nil
	}
	out := &intent.Rewrite{Host: r.optionalText("host"), Path: r.optionalText("path"), Prefix: r.optionalText("prefix"), At: r.label()}
	if x, ok := r.field("regex"); ok {
		out.Regex = &intent.Substitution{Pattern: x.required("pattern").text(), Substitution: x.required("substitution").text(), At: x.label()}
	}
	return out
}
