package diag

// originTLS is the part of 3xxx about TLS to what lies outside the mesh.
var originTLS = []Entry{
	{InsecureTLS, Error, "an unverified certificate without a reason, or past its end",
		"`insecure` lets anybody on the way pass for the server. It needs a reason and ends at a time; from then on proxies verify the certificate again.",
		"tls: insecure: {reason: \"self-signed\", until: \"2020-01-01T00:00:00Z\"}", "tls: ca: file: \"partner-ca.pem\""},
	{UnverifiedTLS, Info, "a certificate is not verified",
		"Anybody on the way can pass for the server until `insecure` ends.",
		"tls: insecure: {reason: \"self-signed\", until: \"2099-01-01T00:00:00Z\"}", "tls: ca: file: \"partner-ca.pem\""},
	{TLSDoesNothing, Error, "an empty list in `tls`",
		"A list that a template left empty must not come to mean everything.",
		"tls: ports: []", "tls: {}"},
	{ClientCertificateMissing, Error, "mutual TLS without a certificate to show",
		"Mode mutual is for servers that ask callers for a certificate. It is named, by `secret` or `file`, and never written into the mesh.",
		"tls: mode: \"mutual\"", "tls: {mode: \"mutual\", certificate: secret: \"partner\"}"},
	{PlaintextTo443, Warning, "plaintext to port 443",
		"Servers speak TLS on port 443 and close connections that do not.",
		"external: api: ports: https: {number: 443, protocol: \"http\"}", "external: api: {ports: https: {number: 443, protocol: \"http\"}, tls: {}}"},
}
