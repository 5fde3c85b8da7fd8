package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) listenerTLS() *intent.ListenerTLS {
	return &intent.ListenerTLS{
		Mode:         c.optionalText("mode"),
		Certificates: each(c.elements("certificates"), cursor.certificate),
		CA:           block(c, "ca", cursor.secret),
		Pins:         c.texts("pins"),
		Ciphers:      c.texts("ciphers"),
		MinVersion:   c.optionalText("minVersion"),
		MaxVersion:   c.optionalText("maxVersion"),
		At:           c.label(),
	}
}

func (c cursor) certificate() *intent.Certificate {
	return &intent.Certificate{Secret: *c.secret(), Hosts: c.texts("hosts")}
}

func (c cursor) secret() *intent.Secret {
	return &intent.Secret{Secret: c.optionalText("secret"), File: c.optionalText("file"), At: c.label()}
}
