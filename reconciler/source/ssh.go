package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// sshDialer runs git-upload-pack over SSH. Nothing of the home directory is
// read: no agent, no ssh_config, no default known_hosts.
type sshDialer struct {
	addr address
	opts Options
}

func newSSHDialer(a address, opts Options) (dialer, error) {
	switch {
	case opts.TokenFile != "" || opts.App.given():
		return nil, fmt.Errorf("repository %s: a token is of no use over ssh", a)
	case opts.SSHKeyFile == "":
		return nil, fmt.Errorf("repository %s: ssh needs a private key file", a)
	case opts.KnownHostsFile == "":
		return nil, fmt.Errorf("repository %s: ssh needs a known_hosts file; hosts are not trusted on first use", a)
	}
	return &sshDialer{addr: a, opts: opts}, nil
}

func (d *sshDialer) config() (*ssh.ClientConfig, error) {
	key, err := os.ReadFile(d.opts.SSHKeyFile)
	if err != nil {
		return nil, fmt.Errorf("SSH key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		// The parser's text never repeats the key.
		return nil, fmt.Errorf("SSH key %s: %w", d.opts.SSHKeyFile, err)
	}
	hosts, err := knownhosts.NewDB(d.opts.KnownHostsFile)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w", err)
	}
	return &ssh.ClientConfig{
		User:              d.addr.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback:   explainHostKey(hosts.HostKeyCallback()),
		HostKeyAlgorithms: hosts.HostKeyAlgorithms(d.addr.hostPort()),
	}, nil
}

// explainHostKey adds both fingerprints to a refusal: the user needs them to
// judge whether the host changed its key or somebody sits in between.
func explainHostKey(check ssh.HostKeyCallback) ssh.HostKeyCallback {
	return func(host string, remote net.Addr, key ssh.PublicKey) error {
		err := check(host, remote, key)
		var wrong *xknownhosts.KeyError
		if !errors.As(err, &wrong) {
			return err
		}
		offered := key.Type() + " " + ssh.FingerprintSHA256(key)
		if len(wrong.Want) == 0 {
			return fmt.Errorf("host %s is not in the known_hosts file; it offers %s", host, offered)
		}
		var want []string
		for _, k := range wrong.Want {
			want = append(want, k.Key.Type()+" "+ssh.FingerprintSHA256(k.Key))
		}
		return fmt.Errorf("host %s offers %s, the known_hosts file has %s", host, offered, strings.Join(want, ", "))
	}
}

func (d *sshDialer) dial(ctx context.Context) (session, error) {
	config, err := d.config()
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.addr.hostPort())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	secured, channels, requests, err := ssh.NewClientConn(conn, d.addr.hostPort(), config)
	if err != nil {
		_ = conn.Close()
		return nil, errors.Join(context.Cause(ctx), err)
	}
	client := ssh.NewClient(secured, channels, requests)
	s, err := d.start(ctx, client)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return s, nil
}

func (d *sshDialer) start(ctx context.Context, client *ssh.Client) (session, error) {
	channel, err := client.NewSession()
	if err != nil {
		return nil, fmt.Errorf("ssh session: %w", err)
	}
	in, err := channel.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := channel.StdoutPipe()
	if err != nil {
		return nil, err
	}
	complaint := &firstBytes{}
	channel.Stderr = complaint
	if err := channel.Start(transport.UploadPackServiceName + " " + quote(d.addr.path)); err != nil {
		return nil, fmt.Errorf("ssh: start git-upload-pack: %w", err)
	}
	s := newStream(ctx, in, out, d.opts.Limits, client.Close)
	s.complaint = func() string {
		_ = channel.Wait() // all of standard error has been copied after it
		return strings.TrimSpace(complaint.buf.String())
	}
	return s, nil
}

// quote makes s one word of a POSIX shell, as git's sq_quote_buf does.
func quote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// firstBytes keeps the start of what a server writes to standard error.
type firstBytes struct{ buf bytes.Buffer }

func (f *firstBytes) Write(p []byte) (int, error) {
	if room := 4096 - f.buf.Len(); room > 0 {
		f.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
