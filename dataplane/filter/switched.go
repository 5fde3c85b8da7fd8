package filter

// On is the per-route config that switches a filter on with its own config.
type On struct{}

// OnlyWhereOn gives f for those requests alone whose Settled has On under its name.
func OnlyWhereOn(f HTTP) HTTP { return switched{f} }

type switched struct{ HTTP }

// BackgroundOf is what f does beside requests, on whatever routes it is; nil: nothing.
func BackgroundOf(f HTTP) Background {
	if s, ok := f.(switched); ok {
		f = s.HTTP
	}
	busy, _ := f.(Background)
	return busy
}

func (f switched) OnRequest(s *Stream) Verdict {
	if s.Settled == nil {
		return Verdict{}
	}
	if _, on := s.Settled.PerFilter[f.Name()].(On); !on {
		return Verdict{}
	}
	return f.HTTP.OnRequest(s)
}
