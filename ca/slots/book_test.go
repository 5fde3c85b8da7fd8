package slots

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var texts = make(map[Kind]string)

func TestMain(m *testing.M) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	texts[Root] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	texts[Issuer] = texts[Root]
	texts[JWT] = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}))
	os.Exit(m.Run())
}

func slot(k Kind, name, parent string) Slot {
	s := Slot{Kind: k, Name: name, Parent: parent, Certificate: texts[k]}
	if k == JWT {
		s.Certificate, s.PublicKey = "", texts[k]
	}
	return s
}

var at = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func first(t testing.TB) *Book {
	t.Helper()
	b := &Book{Sequence: 1}
	for _, s := range []Slot{slot(Root, "r0", ""), slot(Issuer, "i0", "r0"), slot(JWT, "j0", "")} {
		if err := b.Prepare(s, at); err != nil {
			t.Fatal(err)
		}
		if err := b.Activate(s.Kind, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	return b
}

func names(of []*Slot) []string {
	var out []string
	for _, s := range of {
		out = append(out, s.Name)
	}
	return out
}

func TestTheRootThatSignsComesFirst(t *testing.T) {
	b := first(t)
	want := func(roots ...string) {
		t.Helper()
		if got := names(b.Trusted(Root)); !slices.Equal(got, roots) {
			t.Errorf("trusted %v, want %v", got, roots)
		}
	}
	if err := b.Prepare(slot(Root, "r1", ""), at); err != nil {
		t.Fatal(err)
	}
	want("r0", "r1")
	if err := b.Activate(Root, at); err != nil {
		t.Fatal(err)
	}
	want("r1", "r0")
	if _, err := b.Forget(func(s *Slot) bool { return s.Name == "r1" }); err == nil {
		t.Error("a root that signs was dropped")
	}
	dropped, err := b.Forget(func(s *Slot) bool { return s.State == Retired })
	if err != nil || !slices.Equal(dropped, []string{"r0"}) {
		t.Errorf("%v, %v", dropped, err)
	}
	want("r1")
	if err := b.Check(); err == nil {
		t.Error("an issuer without its root")
	}
}

func TestTransitionsThatAreRefused(t *testing.T) {
	b := first(t)
	if err := b.Activate(Root, at); err == nil {
		t.Error("nothing was prepared")
	}
	if err := b.Prepare(slot(Root, "r1", ""), at); err != nil {
		t.Fatal(err)
	}
	if err := b.Prepare(slot(Root, "r2", ""), at); err == nil {
		t.Error("two are prepared")
	}
	if err := b.Check(); err == nil {
		t.Error("one is prepared without a rotation")
	}
	b.Rotation = &Rotation{Kind: Root, Phase: Distribute}
	if err := b.Check(); err != nil {
		t.Error(err)
	}
	b.Rotation.Phase = Reissue
	if err := b.Check(); err == nil {
		t.Error("one is prepared after it should sign")
	}
	if err := b.Prepare(slot(JWT, "r0", ""), at); err != nil {
		t.Fatal(err)
	}
	b.Rotation.Phase = Distribute
	if err := b.Check(); err == nil {
		t.Error("a name was used twice")
	}
}

// What is saved is what is loaded, and no file of other bytes is a book.
func TestJournalKeepsTheBook(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j := OpenJournal(dir)
	b := first(t)
	b.Rotation = nil
	b.Sequence = 7
	b.In(Root, Active).Tainted = true
	if err := j.Save(b); err != nil {
		t.Fatal(err)
	}
	got, err := j.Load()
	if err != nil || got.Sequence != 7 || !got.Named("r0").Tainted || !slices.Equal(names(got.Slots), names(b.Slots)) || got.Named("r0").X509() == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	good, err := os.ReadFile(j.path())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		bad := slices.Clone(good)
		i := rapid.IntRange(0, len(bad)-1).Draw(rt, "at")
		if rapid.Bool().Draw(rt, "cut") {
			bad = bad[:i]
		} else {
			bad[i] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		}
		read, err := decode(bad)
		if err != nil {
			return
		}
		// What is left is the case of the names of the file's fields.
		if same, err := json.Marshal(read); err != nil || !bytes.Contains(good, same) {
			rt.Fatalf("changed at %d, and nobody noticed", i)
		}
	})
	b.Rotation = &Rotation{Kind: Issuer, Phase: Reissue, Reason: strings.Repeat("x", 1<<20)}
	if err := j.Save(b); err == nil {
		t.Error("a book was saved that is too long to be read")
	}
	b.Rotation = nil
	b.Slots = b.Slots[1:]
	if err := j.Save(b); err == nil {
		t.Error("a wrong book was saved")
	}
	if again, err := os.ReadFile(j.path()); err != nil || string(again) != string(good) {
		t.Error("the refusal changed the file")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"sum":"","book":{}}`))
	f.Add([]byte(`{"version":1,"sum":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","book":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := decode(data); err == nil && b.Check() != nil {
			t.Fatal("a wrong book was read")
		}
	})
}
