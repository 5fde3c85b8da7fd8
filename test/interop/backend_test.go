package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Headers by which a test speaks to a backend.
const (
	caseHeader = "x-case" // which exchange a request belongs to
	doHeader   = "x-do"   // what to do, one word per attempt; the last one stays
)

// arrival is one request as a backend got it.
type arrival struct {
	Backend string // who got it: "lab/v1"
	Method  string
	URI     string
	Host    string
	Header  map[string][]string
	Body    string
	Chunked bool
	PeerID  string // of the client certificate
	ALPN    string
	SNI     string
}

// backends are the applications of a mesh and what they got.
type backends struct {
	mu       sync.Mutex
	arrivals map[string][]arrival // by case
	counts   map[string]int       // by backend, of requests without a case
}

func newBackends() *backends {
	return &backends{arrivals: map[string][]arrival{}, counts: map[string]int{}}
}

func (b *backends) got(id string) []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]arrival(nil), b.arrivals[id]...)
}

// add notes an arrival and gives its number among those of its case, from 1.
func (b *backends) add(a arrival) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := a.Header[caseHeader]
	if len(id) == 0 {
		b.counts[a.Backend]++
		return 1
	}
	b.arrivals[id[0]] = append(b.arrivals[id[0]], a)
	return len(b.arrivals[id[0]])
}

// start runs one application; config is nil for plaintext.
func (b *backends) start(t *testing.T, name string, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	s := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.answer(name, w, r) }),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return at
}

func (b *backends) answer(name string, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = []byte("broken off: " + string(body))
	}
	a := arrival{
		Backend: name, Method: r.Method, URI: r.RequestURI, Host: r.Host, Header: lower(r.Header), Body: string(body),
		Chunked: len(r.TransferEncoding) > 0,
	}
	if r.TLS != nil {
		a.ALPN, a.SNI = r.TLS.NegotiatedProtocol, r.TLS.ServerName
		if len(r.TLS.PeerCertificates) > 0 && len(r.TLS.PeerCertificates[0].URIs) > 0 {
			a.PeerID = r.TLS.PeerCertificates[0].URIs[0].String()
		}
	}
	attempt := b.add(a)
	words := strings.Split(r.Header.Get(doHeader), ",")
	act(w, r, name, strings.Split(words[min(attempt, len(words))-1], "+"))
}

// act does what one word says: parts joined by "+", each "sleep=1s", "close"
// (without an answer), "cut" (in the middle of the answer), "chunked", "big",
// "multi" or a status.
func act(w http.ResponseWriter, r *http.Request, name string, parts []string) {
	status, big := http.StatusOK, 1
	h := w.Header()
	h["x-gone"], h["x-set"], h["x-add"], h["x-served"] = []string{"yes"}, []string{"backend"}, []string{"backend"}, []string{name}
	for _, part := range parts {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "":
		case "sleep":
			d, _ := time.ParseDuration(value)
			select {
			case <-time.After(d):
			case <-r.Context().Done():
			}
		case "close":
			hijack(w, "")
			return
		case "cut":
			hijack(w, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nx-served: "+name+"\r\n\r\nonly this")
			return
		case "garbage":
			hijack(w, "this is not HTTP\r\n\r\n")
			return
		case "multi":
			h["x-multi"] = []string{"a", "b"}
		case "big":
			big = 20000
		case "limited":
			h["x-envoy-ratelimited"] = []string{"true"}
		default:
			status, _ = strconv.Atoi(part)
		}
	}
	body := bytes.Repeat([]byte("answer of "+name+"\n"), big)
	if status == http.StatusNoContent || status == http.StatusNotModified {
		body = nil
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func hijack(w http.ResponseWriter, say string) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(c, say)
	c.Close()
}

func lower(h http.Header) map[string][]string {
	out := make(map[string][]string, len(h))
	for name, values := range maps.All(h) {
		out[strings.ToLower(name)] = values
	}
	return out
}

// certificate makes a key and has the authority sign it for id.
func (p *plane) certificate(id string) tls.Certificate {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	chain, err := p.authority.Issue(id, key.Public(), 0)
	if err != nil {
		p.t.Fatal(err)
	}
	out := tls.Certificate{PrivateKey: key}
	for _, c := range chain {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out
}

func (p *plane) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.authority.BundlePEM())
	return pool
}

// mutual is for an application that is id and speaks mutual TLS itself.
func (p *plane) mutual(id string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{p.certificate(id)},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    p.roots(),
		NextProtos:   []string{"http/1.1"},
		MinVersion:   tls.VersionTLS12,
	}
}

// as is for a client that is id; "" shows no certificate. It takes any server
// of the trust domain, because Go has no names for SPIFFE IDs.
func (p *plane) as(id string) *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if id != "" {
		c.Certificates = []tls.Certificate{p.certificate(id)}
	}
	return c
}

func key(k kind, n int) string { return fmt.Sprintf("%s-%05d", k, n) }
