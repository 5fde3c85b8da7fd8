package intent

import "github.com/meshc/meshc/compiler/diag"

// Destination is what is done for the requests of one version of a split.
type Destination struct {
	Version         Value[string]
	RequestHeaders  *HeaderOps
	ResponseHeaders *HeaderOps
	At              diag.Range
}

// Redirect answers with another URL. What is nil stays as in the request.
type Redirect struct {
	Scheme    *Value[string] // http | https
	Host      *Value[string]
	Port      *Value[int]
	Path      *Value[string]
	Prefix    *Value[string]
	Status    *Value[int]
	KeepQuery *Value[bool]
	At        diag.Range
}

// Respond answers without a destination.
type Respond struct {
	Status      Value[int]
	Body        *Value[string]
	ContentType *Value[string]
	At          diag.Range
}

// Rewrite changes what destinations see of a request.
type Rewrite struct {
	Host   *Value[string]
	Path   *Value[string]
	Prefix *Value[string]
	Regex  *Substitution
	At     diag.Range
}

// Substitution puts text in place of what an expression matches.
type Substitution struct {
	Pattern      Value[string]
	Substitution Value[string]
	At           diag.Range
}
