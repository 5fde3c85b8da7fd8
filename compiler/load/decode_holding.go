package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) compression() *intent.Compression {
	return &intent.Compression{
		Encodings:    c.texts("encodings"),
		MinLength:    c.optionalNumber("minLength"),
		ContentTypes: c.texts("contentTypes"),
		NotPaths:     c.texts("notPaths"),
		Except:       c.texts("except"),
		At:           c.label(),
	}
}

func (c cursor) buffer() *intent.Buffer {
	return &intent.Buffer{MaxBytes: c.required("maxBytes").number(), NotPaths: c.texts("notPaths"), Except: c.texts("except"), At: c.label()}
}
