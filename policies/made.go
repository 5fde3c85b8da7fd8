package policies

import (
	"io/fs"

	"golang.org/x/tools/txtar"
)

// madeRoot binds a mesh that a test makes up, so that the test need not.
const madeRoot = `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals
`

// MadeFile is where the text of a mesh that is made up stands, from its second
// line on.
const MadeFile = "made.cue"

// Made is a mesh that a test makes up: the text of a file in its root.
func Made(text string) (fs.FS, error) {
	return txtar.FS(&txtar.Archive{Files: []txtar.File{
		{Name: "cue.mod/module.cue", Data: []byte("module: \"made.example\"\nlanguage: version: \"v0.17.0\"\n")},
		{Name: "root.cue", Data: []byte(madeRoot)},
		{Name: MadeFile, Data: []byte("package mesh\n" + text + "\n")},
	}})
}
