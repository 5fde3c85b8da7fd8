package model

// HashSource is a part of a request that can choose an endpoint.
type HashSource string

// Sources.
const (
	HashHeader   HashSource = "header"
	HashCookie   HashSource = "cookie"
	HashQuery    HashSource = "query"
	HashSourceIP HashSource = "sourceIP"
)

// HashKey is one part of a request that chooses an endpoint. A request that
// has a terminal one is not asked for those that follow.
type HashKey struct {
	From     HashSource
	Name     string // of the header (lower case), cookie or query parameter; "" for HashSourceIP
	Terminal bool
	Origin   Origin
}

// String writes a key as the language does.
func (k HashKey) String() string {
	text := string(k.From)
	if k.Name != "" {
		text += " " + k.Name
	}
	if k.Terminal {
		text += " (terminal)"
	}
	return text
}
