package http2

func (c *Conn) onReset(id uint32, p []byte) *Error {
	switch {
	case len(p) != 4:
		return &Error{FrameSizeError, "rst_stream"}
	case id == 0, c.idle(id):
		return protocolError("rst_stream_on_idle_stream")
	}
	if err := c.nuisance(); err != nil {
		return err
	}
	s := c.streams[id]
	if s == nil {
		return nil
	}
	age := c.now - s.opened
	code := ErrCode(uint32(p[0])<<24 | uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3]))
	c.remove(s)
	s.byPeer = true
	c.events.OnReset(s, code, code == RefusedStream)
	if c.conf.Server && !c.guard.cutShort(age) {
		return &Error{EnhanceYourCalm, "too_many_resets"}
	}
	return nil
}

func (c *Conn) onWindowUpdate(id uint32, p []byte) *Error {
	if len(p) != 4 {
		return &Error{FrameSizeError, "window_update"}
	}
	if err := c.nuisance(); err != nil {
		return err
	}
	n := int64(uint31(p))
	if id == 0 {
		return c.openWindow(n)
	}
	if c.idle(id) {
		return protocolError("window_update_on_idle_stream")
	}
	s := c.streams[id]
	if s == nil {
		return nil
	}
	if n == 0 {
		return c.streamError(id, ProtocolError)
	}
	if s.sendWindow += n; s.sendWindow > maxWindow {
		return c.streamError(id, FlowControlError)
	}
	c.events.OnWindow(s)
	return nil
}

func (c *Conn) openWindow(n int64) *Error {
	if n == 0 {
		return protocolError("window_update_of_nothing")
	}
	if c.sendWindow += n; c.sendWindow > maxWindow {
		return &Error{FlowControlError, "connection_window_overflow"}
	}
	c.events.OnWindow(nil)
	return nil
}

func (c *Conn) onSettings(flags byte, id uint32, p []byte) *Error {
	switch {
	case id != 0:
		return protocolError("settings_on_stream")
	case flags&flagAck != 0 && len(p) > 0, len(p)%6 != 0:
		return &Error{FrameSizeError, "settings"}
	}
	if err := c.nuisance(); err != nil {
		return err
	}
	if flags&flagAck != 0 {
		return nil
	}
	c.settled = true
	window := c.peerWindow
	for ; len(p) > 0; p = p[6:] {
		value := uint32(p[2])<<24 | uint32(p[3])<<16 | uint32(p[4])<<8 | uint32(p[5])
		switch uint16(p[0])<<8 | uint16(p[1]) {
		case settingEnablePush:
			if value > 1 || value == 1 && !c.conf.Server {
				return protocolError("invalid_enable_push")
			}
		case settingInitialWindow:
			if value > maxWindow {
				return &Error{FlowControlError, "invalid_initial_window_size"}
			}
			window = int64(value)
		case settingMaxFrame:
			// Frames of the smallest size are sent whatever it says.
			if value < maxFrame || value > 1<<24-1 {
				return protocolError("invalid_max_frame_size")
			}
		case settingMaxStreams:
			c.peerStreams = value
		}
	}
	if err := c.moveWindows(window); err != nil {
		return err
	}
	c.reserve(frameHead)
	*c.out = appendFrameHead(*c.out, 0, frameSettings, flagAck, 0)
	c.events.OnWindow(nil)
	return nil
}

// moveWindows changes what may be sent on open streams too (RFC 9113 §6.9.2).
func (c *Conn) moveWindows(window int64) *Error {
	by := window - c.peerWindow
	if c.peerWindow = window; by == 0 {
		return nil
	}
	for _, s := range c.streams {
		if s.sendWindow += by; s.sendWindow > maxWindow {
			return &Error{FlowControlError, "stream_window_overflow"}
		}
	}
	return nil
}

func (c *Conn) onPing(flags byte, id uint32, p []byte) *Error {
	switch {
	case id != 0:
		return protocolError("ping_on_stream")
	case len(p) != 8:
		return &Error{FrameSizeError, "ping"}
	}
	if err := c.nuisance(); err != nil {
		return err
	}
	if flags&flagAck != 0 {
		c.events.OnPong()
		return nil
	}
	c.reserve(frameHead + 8)
	*c.out = appendFrameHead(*c.out, 8, framePing, flagAck, 0)
	*c.out = append(*c.out, p...)
	return nil
}

// onGoAway: streams above the last that the server names have not been and will
// not be acted on.
func (c *Conn) onGoAway(id uint32, p []byte) *Error {
	switch {
	case id != 0:
		return protocolError("goaway_on_stream")
	case len(p) < 8:
		return &Error{FrameSizeError, "goaway"}
	}
	if err := c.nuisance(); err != nil {
		return err
	}
	if c.conf.Server {
		return nil // a client ends by closing; nothing is pushed to it
	}
	c.goneAway = true
	last := uint31(p)
	code := ErrCode(uint32(p[4])<<24 | uint32(p[5])<<16 | uint32(p[6])<<8 | uint32(p[7]))
	c.events.OnGoAway(code)
	for id, s := range c.streams {
		if id > last {
			c.remove(s)
			c.events.OnReset(s, RefusedStream, true)
		}
	}
	return nil
}

// onPriority: priorities are ignored, as RFC 9113 §5.3.2 allows.
func (c *Conn) onPriority(id uint32, p []byte) *Error {
	switch {
	case id == 0:
		return protocolError("priority_without_stream")
	case len(p) != 5 && c.idle(id):
		return &Error{FrameSizeError, "priority"}
	case len(p) != 5:
		return c.streamError(id, FrameSizeError)
	case uint31(p) == id:
		return protocolError("priority_depends_on_itself")
	}
	return c.nuisance()
}
