package signature

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	plain = "tree 0123456789012345678901234567890123456789\n" +
		"parent 1123456789012345678901234567890123456789\n" +
		"parent 2123456789012345678901234567890123456789\n" +
		"author Ann <a@example.com> 1700000000 +0000\n" +
		"committer Ann <a@example.com> 1700000001 -0130\n"
	sig     = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----\n"
	message = "\na change\n"

	tagged = "object 0123456789012345678901234567890123456789\ntype commit\ntag v1\ntagger Ann <a@example.com> 1700000000 +0000\n\nv1\n"
	tagSig = "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
)

func TestCommitsAreTakenApart(t *testing.T) {
	for name, raw := range map[string]string{
		"at the end":            plain + sig + message,
		"before other headers":  plain + sig + "encoding x\n" + message,
		"behind other headers":  plain + "mergetag object 1\n type commit\nmergetag object 2\n type commit\nHG:extra x\n" + sig + message,
		"one that quotes a tag": plain + sig + "\n" + tagged + tagSig,
	} {
		o, err := ParseCommit([]byte(raw))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := strings.Replace(raw, sig, "", 1); string(o.Payload) != want {
			t.Errorf("%s: what was signed is %q, want %q", name, o.Payload, want)
		}
		if want := "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----"; string(o.Signature) != want {
			t.Errorf("%s: the signature is %q", name, o.Signature)
		}
		if len(o.Parents) != 2 || o.Parents[1][0] != '2' || !o.When.Equal(time.Unix(1700000001, 0)) {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if o, err := ParseCommit([]byte(plain + message)); err != nil || o.Signature != nil || string(o.Payload) != plain+message {
		t.Errorf("unsigned: %+v, %v", o, err)
	}
}

// TestCommitsThatReadTwoWays: of each, some reader of Git takes another tree,
// parent or signature for the right one.
func TestCommitsThatReadTwoWays(t *testing.T) {
	tree := "tree 3123456789012345678901234567890123456789\n"
	for name, raw := range map[string]string{
		"empty":                         "",
		"no message":                    plain + sig,
		"two trees":                     tree + plain + sig + message,
		"a tree behind the signature":   plain + sig + tree + message,
		"a tree that goes on":           strings.Replace(plain, "\nparent", "\n x\nparent", 1) + sig + message,
		"a parent behind the author":    plain + sig + "parent 3123456789012345678901234567890123456789\n" + message,
		"two authors":                   plain + "author Eve <e@example.com> 1 +0000\n" + sig + message,
		"two committers":                plain + sig + "committer Eve <e@example.com> 1 +0000\n" + message,
		"no committer":                  plain[:strings.Index(plain, "committer")] + sig + message,
		"two signatures":                plain + sig + sig + message,
		"a signature of another hash":   plain + "gpgsig-sha256 x\n" + sig + message,
		"a header twice":                plain + "encoding a\nencoding b\n" + sig + message,
		"a NUL in a header":             plain + "encoding a\x00\n" + sig + message,
		"a NUL in the message":          plain + sig + message + "\x00hidden",
		"a short tree":                  "tree 0123\n" + plain[46:] + sig + message,
		"a tree in capitals":            strings.Replace(plain, "tree 0", "tree A", 1) + sig + message,
		"a first line that goes on":     " x\n" + plain + sig + message,
		"a header without a value":      plain + "gpgsig\n x\n" + message,
		"a time that is none":           strings.Replace(plain, "1700000001", "soon", 1) + sig + message,
		"a time before 1970":            strings.Replace(plain, "1700000001", "-1", 1) + sig + message,
		"a committer without a mailbox": strings.Replace(plain, "committer Ann <a@example.com>", "committer Ann", 1) + sig + message,
	} {
		if o, err := ParseCommit([]byte(raw)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s is taken: %+v, %v", name, o, err)
		}
	}
}

func TestTagsAreTakenApart(t *testing.T) {
	o, err := ParseTag([]byte(tagged + tagSig))
	if err != nil || string(o.Payload) != tagged || string(o.Signature) != tagSig || o.Name != "v1" || o.Type != "commit" || o.Target[:2] != "01" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := ParseTag([]byte(tagged)); err != nil || o.Signature != nil || string(o.Payload) != tagged {
		t.Errorf("unsigned: %+v, %v", o, err)
	}
	for name, raw := range map[string]string{
		"two signatures":      tagged + tagSig + tagSig,
		"two kinds":           tagged + "-----BEGIN PGP SIGNATURE-----\n" + tagSig,
		"no tagger":           strings.Replace(tagged, "tagger Ann <a@example.com> 1700000000 +0000\n", "", 1) + tagSig,
		"a header more":       strings.Replace(tagged, "\n\n", "\ngpgsig x\n\n", 1) + tagSig,
		"two objects":         "object 0123456789012345678901234567890123456789\n" + tagged + tagSig,
		"headers in disorder": strings.Replace(tagged, "type commit\ntag v1\n", "tag v1\ntype commit\n", 1) + tagSig,
		"a header of lines":   strings.Replace(tagged, "tag v1\n", "tag v1\n x\n", 1) + tagSig,
		"a NUL":               tagged + "\x00" + tagSig,
		"no hash":             strings.Replace(tagged, "object 0", "object z", 1) + tagSig,
	} {
		if o, err := ParseTag([]byte(raw)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s is taken: %+v, %v", name, o, err)
		}
	}
}

func TestSignaturesThatAreNoneOfGits(t *testing.T) {
	k := &Keys{}
	for _, text := range []string{
		"", "x", "-----BEGIN PGP SIGNATURE-----", "-----BEGIN SIGNED MESSAGE-----\nAAAA\n-----END SIGNED MESSAGE-----",
		"-----BEGIN SSH SIGNATURE-----\n-----END PGP SIGNATURE-----", tagSig + tagSig, "x\n" + tagSig, tagSig + "x",
		tagSig, "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----",
		"-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----",
	} {
		if who, err := k.Verify(&Object{Signature: []byte(text)}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q is taken: %v, %v", text, who, err)
		}
	}
}

// FuzzObject: nothing panics, what is taken for signed is the object without its
// signature, and that is not signed itself.
func FuzzObject(f *testing.F) {
	f.Add([]byte(plain + sig + message))
	f.Add([]byte(plain + message))
	f.Add([]byte(tagged + tagSig))
	f.Add([]byte(tagged))
	k := &Keys{}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		for _, parse := range []func([]byte) (*Object, error){ParseCommit, ParseTag} {
			o, err := parse(raw)
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatal(err)
				}
				continue
			}
			if _, err := k.Verify(o); err == nil {
				t.Fatal("verified without a key")
			}
			again, err := parse(o.Payload)
			if err != nil || again.Signature != nil || !bytes.Equal(again.Payload, o.Payload) || !slices.Equal(again.Parents, o.Parents) || again.Target != o.Target || !again.When.Equal(o.When) {
				t.Fatalf("%q: what was signed reads %+v, %v", raw, again, err)
			}
			if o.Signature == nil && !bytes.Equal(o.Payload, raw) {
				t.Fatalf("%q: something is left out", raw)
			}
		}
		if !bytes.Equal(raw, before) {
			t.Fatal("the object was changed")
		}
	})
}

func FuzzAllowedSigners(f *testing.F) {
	f.Add([]byte("a@example.com namespaces=\"git\",valid-after=\"20240601Z\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJxBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWjAxMjM0 c\n"))
	f.Add([]byte("# x\n\"a b\" ssh-rsa AAAA"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseAllowedSigners(data)
		if err != nil {
			return
		}
		for _, s := range list {
			if s.key == nil || s.principals == "" {
				t.Fatalf("%+v", s)
			}
			_ = matches(s.namespaces, namespace)
		}
	})
}

func FuzzSSHSignature(f *testing.F) {
	f.Add([]byte(strings.TrimSpace(tagSig)))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, _ = (&Keys{}).Verify(&Object{Signature: text})
		_, _ = (&Keys{}).verifySSH(&Object{}, text)
		_, _ = (&Keys{}).verifyPGP(&Object{}, text)
	})
}
