// Package http2 is the HTTP/2 codec (RFC 9113, with HPACK, RFC 7541): bytes go
// in, heads and pieces of bodies come out, and go back to frames. A Conn is one
// side of one connection and does no I/O: it reads what it is fed and appends
// what it has to say to a buffer of its owner's. It keeps the rules strictly and
// bounds what a peer can make it hold or do.
package http2

import "fmt"

// ErrCode is the reason in RST_STREAM and GOAWAY (RFC 9113 §7).
type ErrCode uint32

// Error codes.
const (
	NoError            ErrCode = 0x0
	ProtocolError      ErrCode = 0x1
	InternalError      ErrCode = 0x2
	FlowControlError   ErrCode = 0x3
	SettingsTimeout    ErrCode = 0x4
	StreamClosed       ErrCode = 0x5
	FrameSizeError     ErrCode = 0x6
	RefusedStream      ErrCode = 0x7
	Cancel             ErrCode = 0x8
	CompressionError   ErrCode = 0x9
	ConnectError       ErrCode = 0xa
	EnhanceYourCalm    ErrCode = 0xb
	InadequateSecurity ErrCode = 0xc
	HTTP11Required     ErrCode = 0xd
)

var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
	"REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

func (c ErrCode) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("error code %d", uint32(c))
}

// Error is why a connection ends.
type Error struct {
	Code   ErrCode
	Detail string
}

func (e *Error) Error() string { return "http/2: " + e.Code.String() + ": " + e.Detail }

func protocolError(detail string) *Error { return &Error{ProtocolError, detail} }

var errCompression = &Error{CompressionError, "invalid_header_block"}

// Preface is what a client's connection begins with (RFC 9113 §3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

type frameType uint8

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameRSTStream
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	frameHead = 9
	// maxFrame is the largest payload that is taken, and sent: the protocol's
	// initial value, so that no setting need be sent.
	maxFrame = 16384
	// DataOverhead is what SendData adds to a piece of at most MaxData bytes.
	DataOverhead = frameHead
	// MaxData is the most that one frame carries.
	MaxData = maxFrame

	initialWindow = 65535
	maxWindow     = 1<<31 - 1
)

// Settings identifiers (RFC 9113 §6.5.2).
const (
	settingTableSize      = 0x1
	settingEnablePush     = 0x2
	settingMaxStreams     = 0x3
	settingInitialWindow  = 0x4
	settingMaxFrame       = 0x5
	settingHeaderListSize = 0x6
)

func appendFrameHead(dst []byte, length int, t frameType, flags byte, id uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), byte(t), flags,
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func appendUint32(dst []byte, v uint32) []byte {
	return append(dst, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func uint31(p []byte) uint32 {
	return (uint32(p[0])<<24 | uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3])) & 0x7fffffff
}
