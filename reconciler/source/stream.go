package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// stream is git-upload-pack over one bidirectional byte stream, as the git and
// ssh transports carry it (gitprotocol-pack(5)). The conversation is short, so
// it is spoken here with go-git's codecs: its own transports can neither be
// given a deadline for the handshake nor be kept from reading the home
// directory.
type stream struct {
	in     io.WriteCloser
	out    bounded
	list   int64 // bound of the list of references
	pack   int64
	close  func() error
	asked  bool
	cancel func() bool // stops closing on the end of the context
	reason func() error

	// complaint gives what the server said beside the stream before it hung up;
	// nil when there is no such channel.
	complaint func() string
}

// newStream closes the connection when ctx ends, which unblocks every read and
// write.
func newStream(ctx context.Context, in io.WriteCloser, out io.Reader, limits Limits, closeConn func() error) *stream {
	s := &stream{in: in, out: bounded{r: out}, list: limits.ListBytes, pack: framed(limits.PackBytes), close: closeConn}
	s.cancel = context.AfterFunc(ctx, func() { _ = closeConn() })
	s.reason = func() error { return context.Cause(ctx) }
	return s
}

// because names the end of the context, or what the server complained about, as
// the reason when there is one.
func (s *stream) because(err error) error {
	if cause := s.reason(); cause != nil {
		return cause
	}
	if s.complaint == nil || errors.Is(err, ErrLimit) {
		return err
	}
	if said := s.complaint(); said != "" {
		return fmt.Errorf("%w: the server says %q", err, said)
	}
	return err
}

func (s *stream) references(context.Context) (*packp.AdvRefs, error) {
	s.out.left = s.list
	refs := packp.NewAdvRefs()
	if err := refs.Decode(&s.out); err != nil {
		if err == packp.ErrEmptyAdvRefs {
			return nil, transport.ErrEmptyRemoteRepository
		}
		return nil, s.because(err)
	}
	if refs.IsEmpty() {
		return nil, transport.ErrEmptyRemoteRepository
	}
	transport.FilterUnsupportedCapabilities(refs.Capabilities)
	return refs, nil
}

func (s *stream) uploadPack(_ context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	s.asked = true
	if err := s.request(req); err != nil {
		return nil, s.because(err)
	}
	s.out.left = s.pack
	resp := packp.NewUploadPackResponse(req)
	if err := resp.Decode(io.NopCloser(&s.out)); err != nil {
		return nil, s.because(err)
	}
	return resp, nil
}

func (s *stream) request(req *packp.UploadPackRequest) error {
	if err := req.UploadRequest.Encode(s.in); err != nil {
		return fmt.Errorf("ask for the pack: %w", err)
	}
	if err := pktline.NewEncoder(s.in).EncodeString("done\n"); err != nil {
		return fmt.Errorf("ask for the pack: %w", err)
	}
	return nil
}

// Close ends the conversation: with a flush when nothing was asked for, so
// that the server does not log a hang-up.
func (s *stream) Close() error {
	s.cancel()
	if !s.asked {
		_, _ = s.in.Write(pktline.FlushPkt)
	}
	_ = s.close()
	return nil
}

// gitDialer speaks git://, which has neither encryption nor authentication.
type gitDialer struct {
	addr   address
	limits Limits
}

func (d *gitDialer) dial(ctx context.Context) (session, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.addr.hostPort())
	if err != nil {
		return nil, err
	}
	s := newStream(ctx, conn, conn, d.limits, conn.Close)
	host := d.addr.host
	if port, _ := strconv.Atoi(d.addr.port); port != 9418 {
		host = d.addr.hostPort()
	}
	req := packp.GitProtoRequest{RequestCommand: transport.UploadPackServiceName, Pathname: d.addr.path, Host: host}
	if err := req.Encode(conn); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("git request: %w", err)
	}
	return s, nil
}
