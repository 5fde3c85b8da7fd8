package filter

// On is the per-route config that switches a filter on with its own config.
type On struct{}

// OnlyWhereOn gives f for those routes alone that have On under its name.
func OnlyWhereOn(f HTTP) HTTP { return switched{f} }

type switched struct{ HTTP }

func (f switched) OnRequest(s *Stream) Verdict {
	if s.Route == nil {
		return Verdict{}
	}
	if _, on := s.Route.PerFilter[f.Name()].(On); !on {
		return Verdict{}
	}
	return f.HTTP.OnRequest(s)
}
