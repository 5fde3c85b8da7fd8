package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) externalTLS() *intent.ExternalTLS {
	return &intent.ExternalTLS{
		Ports:       c.texts("ports"),
		SNI:         c.optionalText("sni"),
		SANs:        c.texts("sans"),
		Mode:        c.optionalText("mode"),
		CA:          block(c, "ca", cursor.secret),
		Certificate: block(c, "certificate", cursor.secret),
		MinVersion:  c.optionalText("minVersion"),
		Insecure:    block(c, "insecure", cursor.insecure),
		At:          c.label(),
	}
}

func (c cursor) insecure() *intent.Insecure {
	return &intent.Insecure{Reason: c.required("reason").text(), Until: c.required("until").text(), At: c.label()}
}
