package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/attest/kube"
	"github.com/meshc/meshc/ca/audit"
	"github.com/meshc/meshc/ca/keystore"
	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// authorityFlags are the flags of the role ca, beside those that every role needs.
type authorityFlags struct {
	attest     []string
	audit      string
	issuer     string
	ttl        time.Duration
	passphrase string
}

func (a *authorityFlags) register(f *pflag.FlagSet) {
	var methods []string
	for _, m := range attest.Methods {
		methods = append(methods, string(m))
	}
	f.StringSliceVar(&a.attest, "ca-attest", []string{string(attest.ByJoinToken), string(attest.BySVID)},
		"how workloads may prove who they are: "+strings.Join(methods, ", ")+" (of a Kubernetes service account, for the audience "+kube.Audience+" and bound to a pod)")
	f.StringVar(&a.audit, "ca-audit-log", "", "file that gets a line of JSON for each certificate, "+audit.Stdout+" for standard output (default: audit.jsonl in --ca-dir)")
	f.StringVar(&a.issuer, "ca-issuer-dir", "", "directory with the issuer in place of one that is made: tls.crt (with what is between it and its root), tls.key, ca.crt (the roots); read again when it changes")
	f.DurationVar(&a.ttl, "ca-ttl", 0, "longest lifetime of workloads' certificates (default 1h)")
	f.StringVar(&a.passphrase, "ca-passphrase-file", "", "file with the passphrase that keys in --ca-dir are encrypted with, mode 0600")
}

func (a *authorityFlags) check() error {
	for _, m := range a.attest {
		if !slices.Contains(attest.Methods, attest.Method(m)) {
			return fmt.Errorf("--ca-attest: %q is not a way to prove who one is", m)
		}
	}
	switch {
	case len(a.attest) == 0:
		return fmt.Errorf("--ca-attest is empty: nobody would get a certificate")
	case a.reviews() && slices.Contains(a.attest, string(attest.BySVID)):
		return fmt.Errorf("--ca-attest: %w", ca.ErrRenewsForever)
	case a.ttl < 0 || a.ttl > ca.MaxTTL:
		return fmt.Errorf("--ca-ttl is not between 0 and %s", ca.MaxTTL)
	case a.issuer != "" && a.passphrase != "":
		return fmt.Errorf("--ca-passphrase-file and --ca-issuer-dir exclude each other: the issuer is read as it is mounted")
	}
	return nil
}

// reviews says whether the authority asks an API server.
func (a *authorityFlags) reviews() bool {
	return slices.Contains(a.attest, string(attest.ByTokenReview))
}

// settleTime is how long a controller that was just started waits for the proxies to
// come back, before it believes that all of them have something; no longer than a
// certificate lasts.
const settleTime = 30 * time.Second

// acknowledged says how many proxies have the trust bundle of a sequence number.
func (p *process) acknowledged(sequence uint64) (done, live int) {
	ads := p.ads.Load()
	if ads == nil {
		return 0, 1
	}
	done, live = ads.BundlesAcknowledged()
	switch {
	case p.published.Load() < sequence:
		return 0, max(1, live)
	case time.Since(p.started) < min(settleTime, cmp.Or(p.authority.ttl, settleTime)):
		return min(done, max(1, live)-1), max(1, live)
	}
	return done, live
}

// behind names the proxies that have not got the trust bundle.
func (p *process) behind() []string {
	if ads := p.ads.Load(); ads != nil {
		return ads.BundlesMissing()
	}
	return nil
}

// endTime is how long a process that is ending may still hold the keys.
const endTime = 5 * time.Second

// holdKeys keeps other controllers away from the keys in --ca-dir until this one ends:
// each sees its own proxies alone, and would end a rotation that those of the other one
// have not heard of. An issuer that is mounted is shared.
func (p *process) holdKeys() error {
	if p.authority.issuer != "" {
		return nil
	}
	if err := privatefile.EnsureDir(p.caDir); err != nil {
		return fmt.Errorf("--ca-dir: %w", err)
	}
	release, err := privatefile.LockWithin(filepath.Join(p.caDir, "running"), endTime)
	if errors.Is(err, privatefile.ErrLocked) {
		return fmt.Errorf("--ca-dir=%s: another process runs the authority there, and each would rotate its keys by the proxies that it sees itself: replicas share an issuer that is mounted (--ca-issuer-dir)", p.caDir)
	}
	if err != nil {
		return fmt.Errorf("--ca-dir: %w", err)
	}
	p.onStop(release)
	return nil
}

// openAuthority opens the authority of this process.
func (p *process) openAuthority() (*ca.Authority, error) {
	if err := p.holdKeys(); err != nil {
		return nil, err
	}
	c := ca.Config{
		Dir: p.caDir, IssuerDir: p.authority.issuer, TrustDomain: p.trustDomain, TTL: p.authority.ttl, Log: p.log, AuditFile: p.authority.audit,
	}
	if p.has(roleServe) {
		c.Acknowledged, c.Behind = p.acknowledged, p.behind
	}
	for _, m := range p.authority.attest {
		c.Methods = append(c.Methods, attest.Method(m))
	}
	var err error
	if p.authority.passphrase != "" {
		if c.Seal, err = keystore.PassphraseFile(p.authority.passphrase); err != nil {
			return nil, fmt.Errorf("--ca-passphrase-file: %w", err)
		}
	}
	if p.authority.reviews() {
		config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("--ca-attest=%s: %w", attest.ByTokenReview, err)
		}
		if c.Reviewer, err = kube.New(config, p.trustDomain); err != nil {
			return nil, err
		}
	}
	authority, err := ca.Open(c)
	if err != nil {
		return nil, fmt.Errorf("%w (--ca-dir=%s, --trust-domain=%s)", err, filepath.Clean(p.caDir), p.trustDomain)
	}
	return authority, nil
}
