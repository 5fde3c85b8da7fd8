package load

import (
	"fmt"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"

	"github.com/meshc/meshc/schema"
)

// policyImport is the package that rules are bound to; meshc alone imports it.
const policyImport = schema.PolicyPath + ":policy"

// policyFiles parses the embedded language of rules.
func policyFiles() []*ast.File {
	var out []*ast.File
	files := schema.PolicyFiles()
	for _, name := range sortedKeys(files) {
		f, err := parser.ParseFile(schema.PolicyPath+"/"+name, files[name], parser.ParseComments)
		if err != nil {
			panic("load: the embedded language of rules does not parse: " + err.Error())
		}
		out = append(out, f)
	}
	return out
}

// policyLanguage is the shape of what files of rules say, and of the view that
// they read. It is read once and never written again.
type policyLanguage struct{ says, view *shape }

var policyShapes = sync.OnceValue(func() policyLanguage {
	inst := newLoader(&tree{}, nil).instance("", policyFiles())
	v := cuecontext.New().BuildInstance(inst)
	read := func(definition string) *shape {
		def := v.LookupPath(cue.ParsePath(definition))
		if err := def.Err(); err != nil {
			panic(fmt.Sprintf("load: the embedded language of rules lacks %s: %v", definition, err))
		}
		return shapeOf(def)
	}
	l := policyLanguage{says: read("#Policies"), view: read("#View")}
	l.view.called("", func(*shape) {})
	return l
})
