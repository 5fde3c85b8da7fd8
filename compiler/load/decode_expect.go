package load

import "github.com/meshc/meshc/compiler/intent"

// expect reads what is expected of a service, or of a gateway.
func (c cursor) expect() *intent.Expect {
	e := &intent.Expect{
		Name:        c.name(),
		Request:     block(c, "request", cursor.expectedRequest),
		Every:       each(c.elements("every"), cursor.match),
		From:        c.texts("from"),
		Port:        c.optionalText("port"),
		ReachedBy:   block(c, "reachedBy", cursor.reachedBy),
		To:          each(c.entries("to"), cursor.weight),
		NotTo:       c.texts("notTo"),
		Service:     c.optionalText("service"),
		NotServices: c.texts("notServices"),
		Outcome:     c.optionalText("outcome"),
		Status:      c.optionalNumber("status"),
		Location:    c.optionalText("location"),
		Timeout:     c.optionalText("timeout"),
		Retries:     c.optionalNumber("retries"),
		Faults:      c.optionalTruth("faults"),
		At:          c.label(),
	}
	if e.Port == nil {
		e.Port = c.optionalText("listener")
	}
	return e
}

func (c cursor) expectMesh() *intent.ExpectMesh {
	return &intent.ExpectMesh{
		Name:           c.name(),
		Services:       c.required("services").textList(),
		ReachedBy:      block(c, "reachedBy", cursor.reachedBy),
		NotReachedFrom: c.texts("notReachedFrom"),
		ExceptThrough:  c.texts("exceptThrough"),
		At:             c.label(),
	}
}

func (c cursor) reachedBy() *intent.ReachedBy {
	return &intent.ReachedBy{Only: c.required("only").textList(), At: c.label()}
}

func (c cursor) expectedRequest() *intent.ExpectedRequest {
	return &intent.ExpectedRequest{
		From:     c.optionalText("from"),
		Method:   c.optionalText("method"),
		Path:     c.optionalText("path"),
		Host:     c.optionalText("host"),
		Query:    c.pairs("query"),
		Headers:  c.pairs("headers"),
		Cookies:  c.pairs("cookies"),
		Claims:   each(c.entries("claims"), cursor.tokenClaims),
		IP:       c.optionalText("ip"),
		ClientIP: c.optionalText("clientIP"),
		At:       c.label(),
	}
}

func (c cursor) tokenClaims() *intent.TokenClaims {
	all, err := c.v.fields()
	if err != nil {
		c.fail(err)
	}
	return &intent.TokenClaims{Provider: c.name(), Of: each(c.sorted(all), cursor.pair)}
}

// textList reads the place itself as a list of texts.
func (c cursor) textList() []intent.Value[string] { return texts(c.list()) }
