package ca

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/bundle"
	"github.com/meshc/meshc/ca/keystore"
	"github.com/meshc/meshc/ca/sign"
	"github.com/meshc/meshc/ca/slots"
	"github.com/meshc/meshc/ca/template"
	"github.com/meshc/meshc/ca/validate"
	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// own is a source with a root of its own, kept in a directory.
type own struct {
	cfg     *Config
	td      spiffeid.TrustDomain
	keys    keystore.Keys
	journal *slots.Journal
	roots   *bundle.Holder

	mu     sync.Mutex
	book   *slots.Book
	stamp  fs.FileInfo // of the journal, when book was read
	looked time.Time

	issues  atomic.Pointer[issuing] // written under mu, read by whoever issues
	running atomic.Bool             // run takes the steps
	tainted atomic.Pointer[tainted]
	tokens  atomic.Int64 // Unix nanoseconds: the end of the last token that was signed

	seen      slots.Rotation // the phase that is under way, and since when by a clock that nobody sets
	seenSince time.Time

	failed   error // of the last step, nil when it went well
	failedAt time.Time
}

// lookEvery is how often a process looks whether another one has changed the keys.
const lookEvery = time.Second

// openOwn opens the directory, or makes a root and an issuer in an empty one.
func openOwn(cfg *Config, td spiffeid.TrustDomain) (*own, error) {
	if err := privatefile.EnsureDir(cfg.Dir); err != nil {
		return nil, err
	}
	o := &own{cfg: cfg, td: td, keys: cfg.Keys, journal: slots.OpenJournal(cfg.Dir), roots: bundle.New(td, bundle.Content{})}
	if o.keys == nil {
		files, err := keystore.OpenFiles(filepath.Join(cfg.Dir, "keys"), cfg.Seal)
		if err != nil {
			return nil, err
		}
		o.keys = files
	}
	unlock, err := o.journal.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	book, err := o.journal.Load()
	if errors.Is(err, fs.ErrNotExist) {
		book, err = o.first()
	} else {
		o.token(cfg.Now().Add(JWTTTL)) // whoever ran before may have signed one
	}
	if err != nil {
		return nil, err
	}
	if err := o.adopt(book); err != nil {
		return nil, err
	}
	if err := o.dropLegacy(); err != nil {
		return nil, err
	}
	if err := o.sweep(book); err != nil {
		return nil, err
	}
	if files, ok := o.keys.(*keystore.Files); ok {
		return o, files.SealAll()
	}
	return o, nil
}

// first makes the book of an empty directory. Keys without a book are what is left
// of a state that was lost: it must be noticed, not replaced by a root that nobody
// trusts.
func (o *own) first() (*slots.Book, error) {
	names, err := o.keys.Names()
	if err != nil {
		return nil, err
	}
	if len(names) != 0 {
		if err := o.unfinished(); err != nil {
			return nil, err
		}
	}
	if err := o.mark(); err != nil {
		return nil, err
	}
	now := o.cfg.Now()
	book := &slots.Book{Sequence: 1}
	if err := o.takeOver(book, now); err != nil {
		return nil, err
	}
	if book.In(slots.Root, slots.Prepared) == nil {
		if err := o.prepareRoot(book, now); err != nil {
			return nil, err
		}
	}
	if book.In(slots.Issuer, slots.Prepared) == nil {
		if err := o.prepareIssuer(book, book.In(slots.Root, slots.Prepared), now); err != nil {
			return nil, err
		}
	}
	if err := o.prepareJWT(book, now); err != nil {
		return nil, err
	}
	for _, k := range []slots.Kind{slots.Root, slots.Issuer, slots.JWT} {
		if err := book.Activate(k, now); err != nil {
			return nil, err
		}
	}
	if err := o.journal.Save(book); err != nil {
		return nil, err
	}
	return book, nil
}

// The mark says that a first start is under way: keys beside it may be dropped.
func (o *own) marked() string { return filepath.Join(o.cfg.Dir, "new") }

func (o *own) mark() error { return privatefile.Write(o.marked(), nil) }

// unmark has the mark gone for good, also where a crash came between its removal and
// the directory's fsync.
func (o *own) unmark() error {
	err := privatefile.Remove(o.marked())
	if errors.Is(err, fs.ErrNotExist) {
		return privatefile.SyncDir(o.cfg.Dir)
	}
	return err
}

func (o *own) unfinished() error {
	if _, err := os.Lstat(o.marked()); err != nil {
		return errors.Join(fmt.Errorf("%s has keys but its state is missing: restore ca.json, or move the directory away to begin a new trust domain", o.cfg.Dir), ignoreMissing(err))
	}
	return o.sweep(&slots.Book{})
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// sweep deletes the keys that a crash left without a slot. The lock is held.
func (o *own) sweep(b *slots.Book) error {
	if files, ok := o.keys.(*keystore.Files); ok {
		if err := errors.Join(files.Sweep(), privatefile.Sweep(o.cfg.Dir)); err != nil {
			return err
		}
	}
	names, err := o.keys.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if b.Named(name) == nil {
			if err := o.keys.Delete(name); err != nil {
				return err
			}
		}
	}
	return o.unmark()
}

func (o *own) prepareRoot(b *slots.Book, now time.Time) error {
	tmpl, err := template.Root(o.td, now)
	if err != nil {
		return err
	}
	name, key, err := o.newKey(slots.Root)
	if err != nil {
		return err
	}
	cert, err := sign.Certificate(tmpl, tmpl, key.Public(), key)
	if err != nil {
		return err
	}
	if err := o.checkRoot(cert, now); err != nil {
		return fmt.Errorf("the new root is wrong and was dropped: %w", err)
	}
	return b.Prepare(slots.Slot{Kind: slots.Root, Name: name, Certificate: encodeCert(cert)}, now)
}

func (o *own) prepareIssuer(b *slots.Book, root *slots.Slot, now time.Time) error {
	rootKey, err := o.keys.Open(root.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the key of root %s is not here: bring it back to %s for as long as it takes to make an issuer", root.Name, o.cfg.Dir)
	}
	if err != nil {
		return err
	}
	if !keystore.Belongs(root.X509(), rootKey) {
		return fmt.Errorf("the certificate of root %s is not for the key beside it", root.Name)
	}
	tmpl, err := template.Issuer(o.td, root.X509(), now)
	if err != nil {
		return err
	}
	name, key, err := o.newKey(slots.Issuer)
	if err != nil {
		return err
	}
	cert, err := sign.Certificate(tmpl, root.X509(), key.Public(), rootKey)
	if err != nil {
		return err
	}
	if err := o.checkIssuer(cert, root.X509()); err != nil {
		return fmt.Errorf("the new issuer is wrong and was dropped: %w", err)
	}
	return b.Prepare(slots.Slot{Kind: slots.Issuer, Name: name, Parent: root.Name, Certificate: encodeCert(cert)}, now)
}

func (o *own) prepareJWT(b *slots.Book, now time.Time) error {
	name, key, err := o.newKey(slots.JWT)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return b.Prepare(slots.Slot{Kind: slots.JWT, Name: name, PublicKey: string(text)}, now)
}

func (o *own) newKey(k slots.Kind) (string, crypto.Signer, error) {
	name, err := newName(string(k))
	if err != nil {
		return "", nil, err
	}
	key, err := o.keys.Create(name)
	return name, key, err
}

func (o *own) checkRoot(c *x509.Certificate, now time.Time) error {
	if err := validate.Authority(c, o.td); err != nil {
		return err
	}
	if len(c.URIs) != 1 {
		return fmt.Errorf("it does not name its trust domain %q", o.td.IDString())
	}
	if err := c.CheckSignatureFrom(c); err != nil {
		return fmt.Errorf("it is not self-signed: %w", err)
	}
	return checkTime(c, now)
}

func (o *own) checkIssuer(c, root *x509.Certificate) error {
	if err := validate.Authority(c, o.td); err != nil {
		return err
	}
	if err := c.CheckSignatureFrom(root); err != nil {
		return fmt.Errorf("it is not signed by the root beside it: %w", err)
	}
	// An expired issuer is no error: the next certificate renews it.
	return nil
}

// adopt makes book what this process goes by. mu is held, or nobody else knows o.
func (o *own) adopt(book *slots.Book) error {
	now := o.cfg.Now()
	content := bundle.Content{Sequence: book.Sequence, Keys: map[string]crypto.PublicKey{}}
	for _, s := range book.Trusted(slots.Root) {
		if err := o.checkRoot(s.X509(), later(now, s.X509().NotBefore)); err != nil && s.State == slots.Active {
			return fmt.Errorf("root %s in %s: %w", s.Name, o.cfg.Dir, err)
		}
		content.Roots = append(content.Roots, s.X509())
	}
	for _, s := range book.Trusted(slots.JWT) {
		content.Keys[s.Name] = s.Public()
	}
	next, err := o.open(book, now)
	if err != nil {
		return err
	}
	o.tainted.Store(taintedOf(book)) // before the bundle, whose watchers ask
	o.book = book
	o.issues.Store(next)
	o.roots.Set(content)
	o.stamp, err = o.journal.Stamp()
	return err
}

// open opens the keys that sign.
func (o *own) open(book *slots.Book, now time.Time) (*issuing, error) {
	issuer, token := signing(book, now), book.In(slots.JWT, slots.Active)
	root := book.Named(issuer.Parent).X509()
	if err := o.checkIssuer(issuer.X509(), root); err != nil {
		return nil, fmt.Errorf("issuer %s in %s: %w", issuer.Name, o.cfg.Dir, err)
	}
	signer, err := o.keys.Open(issuer.Name)
	if err != nil {
		return nil, err
	}
	if !keystore.Belongs(issuer.X509(), signer) {
		return nil, fmt.Errorf("the certificate of issuer %s is not for the key beside it", issuer.Name)
	}
	jwt, err := o.keys.Open(token.Name)
	if err != nil {
		return nil, err
	}
	if k, ok := jwt.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(token.Public()) {
		return nil, fmt.Errorf("the public key of %s is not that of the key beside it", token.Name)
	}
	return &issuing{name: issuer.Name, signer: signer, chain: []*x509.Certificate{issuer.X509()}, root: root, jwtID: token.Name, jwt: jwt}, nil
}

// current implements source. Nobody waits for a transition: it is run that takes the
// steps of a rotation. Where it does not run, or has nothing that is valid, every step
// that is due is taken here, unless somebody else is at it.
func (o *own) current(now time.Time) (*issuing, error) {
	by := o.issues.Load()
	valid := checkTime(by.certificate(), now) == nil
	if o.running.Load() && valid || !o.mu.TryLock() {
		return by, nil
	}
	defer o.mu.Unlock()
	return o.step(now)
}

// step takes every step of a rotation that is due. mu is held.
func (o *own) step(now time.Time) (*issuing, error) {
	err := o.advance(now)
	by := o.issues.Load()
	if err != nil && now.After(by.certificate().NotAfter) {
		return nil, fmt.Errorf("renew the issuer: %w", err)
	}
	return by, nil
}

// look reads the book again if another process has replaced it. mu is held.
func (o *own) look(now time.Time) error {
	if d := now.Sub(o.looked); o.stamp != nil && d >= 0 && d < lookEvery {
		return nil
	}
	o.looked = now
	stamp, err := o.journal.Stamp()
	if err != nil {
		return err
	}
	if o.stamp != nil && os.SameFile(stamp, o.stamp) && stamp.ModTime().Equal(o.stamp.ModTime()) {
		return nil
	}
	book, err := o.journal.Load()
	if err != nil {
		return err
	}
	return o.adopt(book)
}

// change makes a transition: write-ahead of keys by f, one write of the book, and
// then the deletion of the keys that it names no more. mu is held.
func (o *own) change(f func(*slots.Book) error) error {
	unlock, err := o.journal.TryLock()
	if err != nil {
		return err
	}
	defer unlock()
	before, err := o.journal.Load()
	if err != nil {
		return err
	}
	next := before.Clone()
	if err := next.Check(); err != nil {
		return err
	}
	if err := f(next); err != nil {
		return errors.Join(err, o.sweep(before))
	}
	if !sameTrust(before, next) {
		next.Sequence++
	}
	if err := o.journal.Save(next); err != nil {
		o.stamp = nil // it may have been replaced all the same: read it again
		return err
	}
	if err := o.adopt(next); err != nil {
		return err
	}
	return o.sweep(next)
}

// sameTrust says whether two books make the same bundle, order included.
func sameTrust(a, b *slots.Book) bool {
	for _, k := range []slots.Kind{slots.Root, slots.JWT} {
		same := slices.EqualFunc(a.Trusted(k), b.Trusted(k), func(x, y *slots.Slot) bool { return x.Name == y.Name })
		if !same {
			return false
		}
	}
	return true
}

func encodeCert(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// run implements source.
func (o *own) run(ctx context.Context) {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	o.running.Store(true)
	defer o.running.Store(false)
	for {
		o.mu.Lock()
		_, err := o.step(o.cfg.Now())
		o.mu.Unlock()
		if err != nil {
			o.cfg.Log.Error("the authority cannot issue", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
