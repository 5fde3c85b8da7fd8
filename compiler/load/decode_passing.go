package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) mirror() *intent.Mirror {
	return &intent.Mirror{
		To: c.optionalText("to"), Port: c.optionalText("port"), Version: c.optionalText("version"),
		Percent: c.required("percent").decimal(), At: c.label(),
	}
}

func (c cursor) sticky() *intent.Sticky {
	s, ok := c.field("sticky")
	if !ok {
		return nil
	}
	out := &intent.Sticky{Header: s.optionalText("header"), SourceIP: s.optionalTruth("sourceIP"), At: s.label()}
	if k, ok := s.field("cookie"); ok {
		name := k.required("name").text()
		out.Cookie = &name
	}
	return out
}

func (c cursor) cors() *intent.CORS {
	s, ok := c.field("cors")
	if !ok {
		return nil
	}
	return &intent.CORS{
		Origins:       each(s.required("origins").list(), cursor.named),
		Methods:       s.texts("methods"),
		Headers:       s.texts("headers"),
		ExposeHeaders: s.texts("exposeHeaders"),
		MaxAge:        s.optionalText("maxAge"),
		Credentials:   s.optionalTruth("credentials"),
		At:            s.label(),
	}
}
