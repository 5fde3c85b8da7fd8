package lower

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

func compression(c *intent.Compression) *model.Compression {
	out := &model.Compression{
		Encodings: texts(c.Encodings), MinLength: numberOr(c.MinLength, model.DefaultCompressedLength),
		NotPaths: sortedTexts(c.NotPaths), Except: sortedTexts(c.Except), Origin: c.At,
	}
	out.Encodings = once(out.Encodings) // each is a filter of that name
	if len(out.Encodings) == 0 {
		out.Encodings = []string{model.DefaultEncoding}
	}
	for _, t := range c.ContentTypes {
		out.ContentTypes = append(out.ContentTypes, strings.ToLower(t.V))
	}
	if slices.Sort(out.ContentTypes); len(out.ContentTypes) == 0 {
		out.ContentTypes = slices.Clone(model.DefaultCompressedTypes)
	}
	return out
}

func buffer(b *intent.Buffer) *model.Buffer {
	return &model.Buffer{MaxBytes: uint32(b.MaxBytes.V), NotPaths: sortedTexts(b.NotPaths), Except: sortedTexts(b.Except), Origin: b.At}
}

// once is a list without what it has already said, in its order.
func once(list []string) []string {
	var out []string
	for _, v := range list {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
