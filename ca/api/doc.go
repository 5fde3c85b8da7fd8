// Package api is the wire protocol of the certificate authority: the gRPC
// service istio.v1.auth.IstioCertificateService, generated from
// istioca.proto.
package api

//go:generate buf generate
