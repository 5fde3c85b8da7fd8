package model

// TLS is spoken between client and server themselves: a proxy reads the server
// name of the client's first message, and nothing else.
const TLS Protocol = "tls"

// Opaque says that a proxy carries bytes, in which it sees no requests.
func (p Protocol) Opaque() bool { return p == TCP || p == TLS }

// Encrypted says that a client of the listener speaks TLS to it or through it.
func (l *GatewayListener) Encrypted() bool { return l.TLS != nil || l.Protocol == TLS }
