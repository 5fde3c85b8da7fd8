package ca

import "time"

// Status is what an authority tells of its keys: all of it is public.
type Status struct {
	TrustDomain string    `json:"trustDomain"`
	Sequence    uint64    `json:"sequence,omitempty"` // of the trust bundle
	Keys        []Key     `json:"keys"`
	Rotation    *Rotation `json:"rotation,omitempty"`
}

// Key is a key of the authority, without the key.
type Key struct {
	Kind      string    `json:"kind"` // root, issuer or jwt
	Name      string    `json:"name"`
	State     string    `json:"state"` // prepared, active or retired
	Tainted   bool      `json:"tainted,omitempty"`
	Serial    string    `json:"serial,omitempty"` // hex
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Held      bool      `json:"held"` // whether the private key is here
}

// Rotation is a change of keys that is under way.
type Rotation struct {
	Kind         string    `json:"kind"`
	Phase        string    `json:"phase"` // distribute, reissue or drop
	Since        time.Time `json:"since"`
	Taint        bool      `json:"taint,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	Acknowledged int       `json:"acknowledged"` // live proxies that have the bundle
	Live         int       `json:"live"`
}

// Status tells of the authority's keys.
func (a *Authority) Status() (*Status, error) {
	s, err := a.source.status(a.cfg.Now())
	if err != nil {
		return nil, err
	}
	s.TrustDomain = a.td.Name()
	return s, nil
}

// status implements source.
func (o *own) status(now time.Time) (*Status, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.look(now); err != nil {
		return nil, err
	}
	s := &Status{Sequence: o.book.Sequence}
	for _, slot := range o.book.Slots {
		k := Key{Kind: string(slot.Kind), Name: slot.Name, State: string(slot.State), Tainted: slot.Tainted, Held: o.has(slot.Name)}
		if c := slot.X509(); c != nil {
			k.Serial, k.NotBefore, k.NotAfter = c.SerialNumber.Text(16), c.NotBefore, c.NotAfter
		}
		s.Keys = append(s.Keys, k)
	}
	if r := o.book.Rotation; r != nil {
		s.Rotation = &Rotation{Kind: string(r.Kind), Phase: string(r.Phase), Since: r.Since, Taint: r.Taint, Reason: r.Reason}
		if o.cfg.Acknowledged != nil {
			s.Rotation.Acknowledged, s.Rotation.Live = o.cfg.Acknowledged(o.book.Sequence)
		}
	}
	return s, nil
}
