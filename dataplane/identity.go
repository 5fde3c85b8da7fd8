package dataplane

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/meshc/meshc/dataplane/identity"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// followTrust tells what the certificate of this proxy is, and has the engine judge the
// peers of its connections anew whenever a trust bundle changes, until ctx ends.
func (p *proxy) followTrust(ctx context.Context) error {
	var renewed <-chan struct{}
	var named map[string]time.Time // certificates that the last look found
	var roots *x509.CertPool
	if p.source != nil {
		renewed = p.source.Watch(ctx)
		if id := p.source.Current(); id != nil {
			roots = id.Bundle
			p.metrics.identifiesBy(id)
		}
	}
	look := time.NewTicker(endsEvery)
	defer look.Stop()
	for {
		files := p.secrets.FilesChanged()
		ends := p.secrets.Ends()
		p.metrics.secretsEnd(named, ends)
		named = ends
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			continue
		case <-p.secrets.Changed():
		case <-files:
		case <-renewed:
			id := p.source.Current()
			if id == nil || ctx.Err() != nil {
				continue
			}
			p.metrics.identifiesBy(id)
			if roots != nil && roots.Equal(id.Bundle) {
				continue
			}
			roots = id.Bundle
		}
		p.engine.Recheck()
	}
}

// endsEvery is how often it is looked which certificates are in use.
const endsEvery = 2 * time.Second

// secretsEnd says when the certificates end that the mesh names, and no longer of those
// that it does not name any more: nobody renews them, and an alert on them would stay.
func (m *metrics) secretsEnd(before, ends map[string]time.Time) {
	for name := range before {
		if _, still := ends[name]; !still {
			m.registry.Drop(telemetry.Label{Name: "secret", Value: name})
		}
	}
	for name, at := range ends {
		m.registry.Gauge("meshc_secret_not_after_timestamp_seconds", telemetry.Label{Name: "secret", Value: name}).Set(at.Unix())
	}
}

// identifiesBy says how long the certificate of this proxy lasts.
func (m *metrics) identifiesBy(id *identity.Identity) {
	m.notBefore.Set(id.Issued().Unix())
	m.notAfter.Set(id.NotAfter().Unix())
}

// expired says why nobody is to be sent here although the configuration is in force:
// no handshake can succeed without a certificate.
func (p *proxy) expired() string {
	source := p.state.identity.Load()
	if source == nil || source.Current() != nil {
		return ""
	}
	return "the identity has expired"
}
