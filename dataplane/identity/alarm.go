package identity

import (
	"log/slog"
	"time"
)

// stages are the parts of a life, in percent, at the end of which somebody has to know
// that the identity is not renewed. A renewal is due at half.
var stages = [...]time.Duration{75, 90, 100}

// alarm says once at each stage that an identity nears its end.
type alarm struct{ said int }

// sound says what has not been said yet.
func (a *alarm) sound(s *Source) {
	s.mu.Lock()
	id := s.current
	s.mu.Unlock()
	if id == nil {
		return // there was none yet: nothing ends
	}
	life, now := id.NotAfter().Sub(id.issued), s.cfg.Now()
	at := a.said
	for at < len(stages) && !now.Before(id.issued.Add(life*stages[at]/100)) {
		at++
	}
	if at == a.said {
		return
	}
	a.said = at
	if at == len(stages) {
		text := "the identity has expired: no handshake succeeds and the proxy is not ready until it is renewed"
		if s.cfg.TokenFile != "" {
			text += "; a join token joins once: without a new one in its file there is no way back"
		}
		s.cfg.Log.Error(text, "identity", id, "tokenFile", s.cfg.TokenFile)
		return
	}
	s.cfg.Log.Error("the identity is not renewed and nears its end: is the authority there, and does it know this workload?",
		"identity", id, "left", id.NotAfter().Sub(now).Round(time.Second), "lifePassedPercent", int(stages[at-1]))
}

// end takes the alarm back.
func (a *alarm) end(log *slog.Logger) {
	if a.said > 0 {
		log.Info("the identity is renewed after all")
	}
	a.said = 0
}
