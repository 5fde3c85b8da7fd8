package cluster

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"

	"github.com/meshc/meshc/dataplane/proxyprotocol"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// prober asks one endpoint. It keeps the connection of HTTP checks between them.
type prober struct {
	target netip.AddrPort
	ctx    context.Context // of the endpoint's life here
	cancel context.CancelFunc
	conn   net.Conn
	in     *bufio.Reader
	limit  *io.LimitedReader
	unhook func() bool
	calls  *http.Transport // of gRPC checks
}

func (p *prober) ask(ctx context.Context, s *State) Outcome {
	switch {
	case s.health.TCP != nil:
		return p.askTCP(ctx, s, s.health.TCP)
	case s.health.GRPC != nil:
		return p.askGRPC(ctx, s, s.health.GRPC)
	}
	if p.conn != nil {
		// The server may have closed it in the meantime: that says nothing.
		if o, said := p.askHTTP(ctx, s); said || ctx.Err() != nil {
			return o
		}
	}
	if err := p.dial(ctx, s); err != nil {
		return Silence
	}
	o, _ := p.askHTTP(ctx, s)
	return o
}

// connect to an endpoint, TLS handshake included. An endpoint that is told whose a
// connection is, is told that it is the proxy's.
func (s *State) connect(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	if hello := hello(s.snap.Announce, conn); hello != nil {
		if _, err := conn.Write(hello); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	conf := s.tls.Load()
	if conf == nil {
		return conn, nil
	}
	secure := tls.Client(conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// hello is what a connection of the proxy's own begins with.
func hello(v proxyprotocol.Version, conn net.Conn) []byte {
	from, ok := conn.LocalAddr().(*net.TCPAddr)
	to, fine := conn.RemoteAddr().(*net.TCPAddr)
	if v == proxyprotocol.V1 && ok && fine { // which has no word for it that says more
		return proxyprotocol.Append(nil, v, from.AddrPort(), to.AddrPort())
	}
	return proxyprotocol.AppendLocal(nil, v)
}

// dial connects. The connection ends with the endpoint.
func (p *prober) dial(ctx context.Context, s *State) error {
	conn, err := s.connect(ctx, p.target)
	if err != nil {
		return err
	}
	p.conn, p.limit = conn, &io.LimitedReader{R: conn, N: maxAnswer}
	p.in = bufio.NewReader(p.limit)
	p.unhook = context.AfterFunc(p.ctx, func() { _ = conn.Close() })
	return nil
}

func (p *prober) drop() {
	if p.calls != nil {
		p.calls.CloseIdleConnections()
	}
	if p.conn != nil {
		p.unhook()
		_ = p.conn.Close()
		p.conn = nil
	}
}

// askHTTP makes one request on the connection; said is false when no byte of an
// answer has come.
func (p *prober) askHTTP(ctx context.Context, s *State) (o Outcome, said bool) {
	h := s.health.HTTP
	if deadline, ok := ctx.Deadline(); ok {
		_ = p.conn.SetDeadline(deadline)
	}
	p.limit.N = maxAnswer
	request := "GET " + h.Path + " HTTP/1.1\r\nhost: " + cmp.Or(h.Host, s.snap.Name) + "\r\nuser-agent: Envoy/HC\r\n\r\n"
	if _, err := io.WriteString(p.conn, request); err != nil {
		p.drop()
		return Silence, false
	}
	if _, err := p.in.Peek(1); err != nil {
		p.drop()
		return Silence, false
	}
	resp, err := finalResponse(p.in)
	if err != nil {
		p.drop()
		return Silence, true
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if p.limit.N <= 0 {
		err = errTooLong
	}
	if err != nil || resp.Close || p.in.Buffered() > 0 {
		p.drop()
	}
	if err != nil {
		return Silence, true
	}
	if wanted(h.Statuses, resp.StatusCode) {
		return Good, true
	}
	return Bad, true
}

var errTooLong = errors.New("answer too long")

// finalResponse leaves interim responses out; maxAnswer bounds them.
func finalResponse(in *bufio.Reader) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

func wanted(list []snapshot.StatusRange, status int) bool {
	for _, r := range list {
		if r.From <= status && status < r.To {
			return true
		}
	}
	return len(list) == 0 && status == http.StatusOK
}

// askTCP connects. To connect is enough when no answer is expected, and then
// nothing is sent either, as in Envoy.
func (p *prober) askTCP(ctx context.Context, s *State, t *snapshot.HealthTCP) Outcome {
	if err := p.dial(ctx, s); err != nil {
		return Silence
	}
	defer p.drop()
	if len(t.Receive) == 0 {
		return Good
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = p.conn.SetDeadline(deadline)
	}
	if _, err := p.conn.Write(t.Send); err != nil {
		return Silence
	}
	var got []byte
	piece := make([]byte, 4096)
	for {
		n, err := p.in.Read(piece)
		if got = append(got, piece[:n]...); holds(got, t.Receive) {
			return Good
		}
		if err != nil {
			return Silence
		}
	}
}

// holds looks for the texts in their order.
func holds(got []byte, texts [][]byte) bool {
	for _, t := range texts {
		i := bytes.Index(got, t)
		if i < 0 {
			return false
		}
		got = got[i+len(t):]
	}
	return true
}
