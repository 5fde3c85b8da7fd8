package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) externalTLS() *intent.ExternalTLS {
	return &intent.ExternalTLS{
		Ports:      c.texts("ports"),
		SNI:        c.optionalText("sni"),
		SANs:       c.texts("sans"),
		CA:         block(c, "ca", func(f cursor) *intent.CA { return &intent.CA{File: f.required("file").text(), At: f.label()} }),
		MinVersion: c.optionalText("minVersion"),
		Insecure:   block(c, "insecure", cursor.insecure),
		At:         c.label(),
	}
}

func (c cursor) insecure() *intent.Insecure {
	return &intent.Insecure{Reason: c.required("reason").text(), Until: c.required("until").text(), At: c.label()}
}
