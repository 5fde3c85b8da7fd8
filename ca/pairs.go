package ca

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/meshc/meshc/ca/bundle"
	"github.com/meshc/meshc/ca/keystore"
	"github.com/meshc/meshc/ca/sign"
	"github.com/meshc/meshc/ca/template"
	"github.com/meshc/meshc/ca/validate"
)

// loadOrCreate fills the authority from the keystore. Only an empty keystore
// gets a new root: a root that vanished must be noticed, not replaced by one
// that nobody trusts.
func (a *Authority) loadOrCreate() error {
	unlock, err := a.store.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	root, err := a.store.Load(keystore.Root)
	if errors.Is(err, fs.ErrNotExist) {
		root, err = a.createRoot()
	}
	if err != nil {
		return err
	}
	if err := a.checkRoot(root.Certificate); err != nil {
		return fmt.Errorf("root in %s: %w", a.cfg.Dir, err)
	}
	issuer, err := a.store.Load(keystore.Issuer)
	if errors.Is(err, fs.ErrNotExist) {
		issuer, err = a.createIssuer(root)
	}
	if err != nil {
		return err
	}
	if err := a.checkIssuer(issuer.Certificate, root.Certificate); err != nil {
		return fmt.Errorf("issuer in %s: %w", a.cfg.Dir, err)
	}
	a.roots = bundle.New(a.td, root.Certificate)
	a.issuer = issuer
	return nil
}

func (a *Authority) createRoot() (*keystore.Pair, error) {
	orphan, err := a.store.Has(keystore.Issuer)
	if err != nil {
		return nil, err
	}
	if orphan {
		return nil, fmt.Errorf("%s has an issuer but its root is missing: restore the root, or move the directory away to begin a new trust domain", a.cfg.Dir)
	}
	tmpl, err := template.Root(a.td, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	return a.store.Create(keystore.Root, func(key crypto.Signer) (*x509.Certificate, error) {
		return sign.Certificate(tmpl, tmpl, key.Public(), key)
	})
}

func (a *Authority) createIssuer(root *keystore.Pair) (*keystore.Pair, error) {
	tmpl, err := template.Issuer(a.td, root.Certificate, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	return a.store.Create(keystore.Issuer, func(key crypto.Signer) (*x509.Certificate, error) {
		return sign.Certificate(tmpl, root.Certificate, key.Public(), root.Signer)
	})
}

func (a *Authority) checkRoot(c *x509.Certificate) error {
	if err := validate.Authority(c, a.td); err != nil {
		return err
	}
	if len(c.URIs) != 1 {
		return fmt.Errorf("it does not name its trust domain %q", a.td.IDString())
	}
	if err := c.CheckSignatureFrom(c); err != nil {
		return fmt.Errorf("it is not self-signed: %w", err)
	}
	return checkTime(c, a.cfg.Now())
}

func (a *Authority) checkIssuer(c, root *x509.Certificate) error {
	if err := validate.Authority(c, a.td); err != nil {
		return err
	}
	if err := c.CheckSignatureFrom(root); err != nil {
		return fmt.Errorf("it is not signed by the root beside it: %w", err)
	}
	// An expired issuer is no error: the next certificate renews it.
	return nil
}

func checkTime(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) {
		return fmt.Errorf("it is not valid before %s", c.NotBefore)
	}
	if now.After(c.NotAfter) {
		return fmt.Errorf("it ended at %s", c.NotAfter)
	}
	return nil
}

// currentIssuer returns the issuer, renewed when half of its life is over.
// Workloads need not know of a new issuer: it travels in each chain, and the
// root stays.
func (a *Authority) currentIssuer(now time.Time) (*keystore.Pair, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !halfOver(a.issuer.Certificate, now) {
		return a.issuer, nil
	}
	issuer, err := a.renewIssuer(now)
	if err == nil {
		a.issuer = issuer
		return issuer, nil
	}
	if now.After(a.issuer.Certificate.NotAfter) {
		return nil, fmt.Errorf("renew the issuer: %w", err)
	}
	a.cfg.Log.Error("the issuer could not be renewed and serves on", "notAfter", a.issuer.Certificate.NotAfter, "error", err)
	return a.issuer, nil
}

func (a *Authority) renewIssuer(now time.Time) (*keystore.Pair, error) {
	unlock, err := a.store.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	root, err := a.store.Load(keystore.Root)
	if err != nil {
		return nil, err
	}
	if err := a.checkRoot(root.Certificate); err != nil {
		return nil, err
	}
	// Another process may have been here first.
	issuer, err := a.store.Load(keystore.Issuer)
	if err == nil && !halfOver(issuer.Certificate, now) && a.checkIssuer(issuer.Certificate, root.Certificate) == nil {
		return issuer, nil
	}
	// An issuer that ends with its root cannot get a longer life.
	if err == nil && !issuer.Certificate.NotAfter.Before(root.Certificate.NotAfter) {
		return issuer, checkTime(issuer.Certificate, now)
	}
	issuer, err = a.createIssuer(root)
	if err != nil {
		return nil, err
	}
	a.roots.Set(root.Certificate)
	a.cfg.Log.Info("issuer renewed", "serial", issuer.Certificate.SerialNumber.Text(16), "notAfter", issuer.Certificate.NotAfter)
	return issuer, nil
}

func halfOver(c *x509.Certificate, now time.Time) bool {
	return now.After(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2))
}
