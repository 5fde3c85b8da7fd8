package load

import (
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/meshc/meshc/schema"
)

// binding is unified with every instance, so that the schema judges a mesh
// also where its root forgot to bind it, or is written in YAML.
const binding = `package mesh

import m "meshc.dev/mesh"

mesh:       m.#Config
service:    m.#Services
gateway:    m.#Gateways
external:   m.#Externals
namespace?: m.#Name
`

func bindings() []*ast.File {
	f, err := parser.ParseFile(schema.ImportPath+"/binding", binding)
	if err != nil {
		panic("load: the binding does not parse: " + err.Error())
	}
	return []*ast.File{f}
}
