// Package load turns a directory of CUE (and YAML and JSON) into intent: it
// takes an fs.FS rooted at the module root and gives an *intent.Mesh and what
// is wrong with its shape. It is the only package that imports CUE.
package load
