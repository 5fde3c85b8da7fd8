package engine

import (
	"github.com/meshc/meshc/dataplane/http1"
	"github.com/meshc/meshc/dataplane/message"
)

// An upgrade is a request without a body whose response is 101: from there on both
// sides' bodies are the bytes of the other protocol. To a stream they are bodies
// like others, with the same bounds, idle timeout and log.

// errUpgradeBody: RFC 9110 §7.8 has the client send a whole request first, and
// where it ends is where two readers could disagree.
var errUpgradeBody = &http1.Error{Status: 400, Detail: "upgrade_with_body"}

// change tells the client that its connection is for the other protocol now.
func (d *dconn) change(r *message.Response) {
	d.changed, d.framing = true, http1.UntilClose
	d.closing = true // when it ends
	d.out = d.w.bufs.extend(d.out, headEstimate(r.Fields))
	d.out = http1.AppendUpgradeResponse(d.out, r, d.asks)
}

// readChanged reads what the client says in the other protocol, and nothing before
// the server has changed to it. The client's end is the end of a body: the server
// may have more to say.
func (d *dconn) readChanged(max int) (piece []byte, end bool, st ioState) {
	switch {
	case d.bodyEnd:
		return nil, true, ioOK
	case !d.changed && d.hup:
		return nil, false, ioEOF
	case !d.changed:
		return nil, false, ioAgain
	}
	if len(d.in.bytes()) == 0 {
		switch st := d.in.fill(&d.sock, smallBuffer, largeBuffer); st {
		case ioOK:
		case ioEOF:
			d.bodyEnd = true
			return nil, true, ioOK
		default:
			return nil, false, st
		}
	}
	piece = d.in.bytes()
	piece = piece[:min(len(piece), max)]
	d.in.consume(len(piece))
	return piece, false, ioOK
}

// flush writes what waits, and after the last of another protocol that the server
// will get says that it was.
func (u *uconn) flush() ioState {
	st := u.sock.flush()
	if st == ioOK && u.ending {
		u.ending = false
		st = u.endOutput()
	}
	return st
}
