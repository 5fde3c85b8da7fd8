package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) rateLimit() *intent.RateLimit {
	return &intent.RateLimit{
		Name:            c.name(),
		On:              c.texts("on"),
		Match:           each(c.elements("match"), cursor.match),
		Local:           block(c, "local", cursor.localLimit),
		Global:          block(c, "global", cursor.globalLimit),
		By:              each(c.elements("by"), cursor.limitKey),
		Status:          c.optionalNumber("status"),
		Enforced:        c.optionalDecimal("enforced"),
		ResponseHeaders: c.optionalTruth("responseHeaders"),
		At:              c.label(),
	}
}

func (c cursor) localLimit() *intent.LocalLimit {
	return &intent.LocalLimit{
		Requests: c.required("requests").number(),
		Per:      c.required("per").text(),
		Burst:    c.optionalNumber("burst"),
		MaxKeys:  c.optionalNumber("maxKeys"),
		At:       c.label(),
	}
}

func (c cursor) globalLimit() *intent.GlobalLimit {
	return &intent.GlobalLimit{Descriptor: each(c.elements("descriptor"), cursor.descriptorEntry), At: c.label()}
}

func (c cursor) descriptorEntry() *intent.DescriptorEntry {
	return &intent.DescriptorEntry{Key: c.required("key").text(), Value: c.required("value").text(), At: c.label()}
}

func (c cursor) limitKey() *intent.LimitKey {
	return &intent.LimitKey{
		Header:   c.optionalText("header"),
		Query:    c.optionalText("query"),
		Caller:   c.optionalTruth("caller"),
		Path:     c.optionalTruth("path"),
		SourceIP: c.optionalTruth("sourceIP"),
		At:       c.label(),
	}
}

func (c cursor) rateLimitService() *intent.RateLimitService {
	return &intent.RateLimitService{
		Service:  c.required("service").text(),
		Port:     c.optionalText("port"),
		Domain:   c.optionalText("domain"),
		Timeout:  c.optionalText("timeout"),
		FailOpen: c.required("failOpen").truth(),
		At:       c.label(),
	}
}
