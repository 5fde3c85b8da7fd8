package load

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"cuelang.org/go/cue"

	"github.com/meshc/meshc/schema"
)

// plainFile is a file of intent that says what it says in literals: nothing in
// it refers, computes or constrains, but for the binding of the schema and
// patterns that give every entry of a kind the same literals.
type plainFile struct {
	path     string
	dir      string
	bound    map[string]bool     // top-level names that are bound to the schema
	top      map[string]*plain   // top-level fields
	patterns map[string][]*plain // by kind: what [string] gives to every entry
	// more says that CUE judges this file's own directory: there are
	// definitions, hidden fields or imports. They do not reach into the
	// directories below, where nothing plain refers to them.
	more bool
}

// bindingLine finds in the binding which definition a top-level name has.
var bindingLine = regexp.MustCompile(`(?m)^(\w+)\??:\s+m\.#(\w+)$`)

// boundTo gives the definition by top-level name.
var boundTo = func() map[string]string {
	out := map[string]string{}
	for _, m := range bindingLine.FindAllStringSubmatch(binding, -1) {
		out[m[1]] = m[2]
	}
	return out
}()

const maxPlainDepth = 32

// plainParser reads the part of CUE's syntax that plain files use. It is not
// to be right about what it gives up, only about what it takes: every text that
// it takes means to CUE what it means here.
type plainParser struct {
	src       string
	pos       int
	line      int32
	lineStart int
	file      *plainFile
	alias     string // name under which the schema is imported
	used      bool   // the import
	gaveUp    bool
}

// parsePlain reads a file of CUE; nil when CUE has to.
func parsePlain(f file) *plainFile {
	src := unsafe.String(unsafe.SliceData(f.Data), len(f.Data)) // nobody writes to Data, and what is decoded keeps it: one copy will do
	if !clean(src) || !utf8.ValidString(src) {
		return nil
	}
	p := &plainParser{src: src, line: 1, file: &plainFile{
		path: f.Path, dir: path.Dir(f.Path),
		bound: map[string]bool{}, top: map[string]*plain{}, patterns: map[string][]*plain{},
	}}
	p.header()
	for p.blank(); !p.gaveUp && p.pos < len(p.src); p.blank() {
		p.decl()
		p.separator(0)
	}
	if p.gaveUp || p.alias != "" && !p.used {
		return nil
	}
	return p.file
}

func (p *plainParser) giveUp() { p.gaveUp, p.pos = true, len(p.src) }

func (p *plainParser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

// accept takes text when it comes next.
func (p *plainParser) accept(text string) bool {
	if !strings.HasPrefix(p.src[p.pos:], text) {
		return false
	}
	p.pos += len(text)
	return true
}

// spaces skips what separates nothing.
func (p *plainParser) spaces() {
	for p.peek() == ' ' || p.peek() == '\t' {
		p.pos++
	}
}

// newline skips a comment and the end of the line, if they come next.
func (p *plainParser) newline() bool {
	p.spaces()
	if strings.HasPrefix(p.src[p.pos:], "//") {
		if end := strings.IndexByte(p.src[p.pos:], '\n'); end >= 0 {
			p.pos += end
		} else {
			p.pos = len(p.src)
			return true
		}
	}
	if p.peek() != '\n' {
		return false
	}
	p.pos++
	p.line++
	p.lineStart = p.pos
	return true
}

// blank skips empty lines and comments.
func (p *plainParser) blank() {
	for p.pos < len(p.src) && p.newline() {
	}
}

// separator ends a declaration or an element: a comma, the end of a line, or
// the closing bracket, which it leaves. A closer of 0 stands for the end of the
// file.
func (p *plainParser) separator(closer byte) {
	p.spaces()
	switch {
	case p.accept(","):
	case p.pos >= len(p.src):
		if closer != 0 {
			p.giveUp()
		}
	case p.newline():
	case closer != 0 && p.peek() == closer:
	default:
		p.giveUp()
	}
}

func (p *plainParser) here() (line, col int32) { return p.line, int32(p.pos - p.lineStart + 1) }

// header reads the package clause and the imports.
func (p *plainParser) header() {
	p.blank()
	if !p.accept("package ") {
		p.giveUp()
		return
	}
	p.spaces()
	if p.ident() != schema.Package {
		p.giveUp()
		return
	}
	p.separator(0)
	for p.blank(); p.accept("import "); p.blank() {
		p.spaces()
		alias := p.ident()
		p.spaces()
		from, ok := p.quoted()
		p.separator(0)
		switch {
		case !ok || alias == "string" || from == schema.ImportPath && p.alias != "":
			p.giveUp()
		case from == schema.ImportPath:
			p.alias = alias
			if alias == "" {
				p.alias = path.Base(schema.ImportPath)
			}
		default:
			p.file.more = true
		}
	}
	if p.alias != "" && (boundTo[p.alias] != "" || isKeyword(p.alias)) {
		p.giveUp()
	}
}

// ident reads an identifier of ASCII letters, digits and "_" that begins with
// a letter; "" when there is none.
func (p *plainParser) ident() string {
	start := p.pos
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		if !isLetter(c) && (p.pos == start || !isDigit(c) && c != '_') {
			break
		}
		p.pos++
	}
	return p.src[start:p.pos]
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// decl reads one top-level declaration.
func (p *plainParser) decl() {
	if c := p.peek(); c == '#' || c == '_' {
		p.aside()
		return
	}
	name, at, ok := p.label()
	if !ok {
		p.giveUp()
		return
	}
	if def := boundTo[name]; def != "" && p.alias != "" && p.binds(def) {
		p.file.bound[name], p.used = true, true
		return
	}
	if p.pattern(name) {
		return
	}
	v := p.value(1)
	if v == nil {
		p.giveUp()
		return
	}
	v.key, v.at = name, at
	if have := p.file.top[name]; have == nil {
		p.file.top[name] = v
	} else if !have.unify(v) {
		p.giveUp()
	}
}

// binds takes the reference to a definition of the schema.
func (p *plainParser) binds(def string) bool {
	text := p.alias + ".#" + def
	rest, ok := strings.CutPrefix(p.src[p.pos:], text)
	if !ok || rest != "" && (isLetter(rest[0]) || isDigit(rest[0]) || rest[0] == '_') {
		return false
	}
	p.pos += len(text)
	return true
}

// pattern takes what follows [string]: below a top-level name.
func (p *plainParser) pattern(kind string) bool {
	if !p.accept("[string]:") {
		return false
	}
	p.spaces()
	if v := p.value(2); v != nil {
		p.file.patterns[kind] = append(p.file.patterns[kind], v)
	} else {
		p.giveUp()
	}
	return true
}

// aside skips a definition or a hidden field of one line, or in braces.
func (p *plainParser) aside() {
	p.file.more = true
	p.pos++
	if p.ident() == "" || !p.accept(":") {
		p.giveUp()
		return
	}
	p.spaces()
	if p.peek() != '{' {
		if p.value(1) == nil {
			p.giveUp()
		}
		return
	}
	p.skipBraces()
}

// skipBraces skips a struct, whatever is in it.
func (p *plainParser) skipBraces() {
	for depth := 0; p.pos < len(p.src); {
		switch c := p.src[p.pos]; c {
		case '{', '[', '(':
			depth++
			p.pos++
		case '}', ']', ')':
			depth--
			p.pos++
			if depth == 0 {
				return
			}
		case '"':
			if _, ok := p.quoted(); !ok {
				p.giveUp()
			}
		case '\'', '`', '\\':
			p.giveUp()
		case '\n':
			p.newline()
		case '#':
			p.pos++
			if p.peek() == '"' || p.peek() == '\'' {
				p.giveUp()
			}
		case '/':
			if !p.newline() {
				p.pos++
			}
		default:
			p.pos++
		}
	}
	p.giveUp()
}

// label reads a label and its colon.
func (p *plainParser) label() (name string, at span, ok bool) {
	at.line, at.col = p.here()
	if p.peek() == '"' {
		name, ok = p.quoted()
		ok = ok && !strings.HasPrefix(name, "#") && !strings.HasPrefix(name, "_")
	} else {
		name = p.ident()
		ok = name != "" && !isKeyword(name)
	}
	at.endLine, at.endCol = p.here()
	ok = ok && p.accept(":")
	p.spaces()
	return name, at, ok
}

// field reads a label and what it labels.
func (p *plainParser) field(depth int) *plain {
	name, at, ok := p.label()
	if !ok {
		return nil
	}
	v := p.value(depth)
	if v != nil {
		v.key, v.at = name, at
	}
	return v
}

// value reads a literal; nil when there is none.
func (p *plainParser) value(depth int) *plain {
	if depth > maxPlainDepth {
		return nil
	}
	v := &plain{own: true, file: p.file.path}
	v.val.line, v.val.col = p.here()
	ok := false
	switch c := p.peek(); {
	case c == '{':
		v.kind = cue.StructKind
		ok = p.braces(v, depth)
	case c == '[':
		v.kind = cue.ListKind
		ok = p.list(v, depth)
	case c == '"':
		ok = p.stringOrField(v, depth)
	case isDigit(c), c == '-':
		ok = p.number(v)
	case isLetter(c):
		ok = p.wordOrField(v, depth)
	}
	if !ok {
		return nil
	}
	v.val.endLine, v.val.endCol = p.here()
	return v
}

func (p *plainParser) braces(v *plain, depth int) bool {
	p.pos++
	for p.blank(); p.peek() != '}'; p.blank() {
		k := p.field(depth + 1)
		if k == nil || !v.add(k) {
			return false
		}
		p.separator('}')
	}
	return p.accept("}")
}

// add puts a field into a struct that may have it already.
func (v *plain) add(k *plain) bool {
	if have := v.kid(k.key); have != nil {
		return have.unify(k)
	}
	v.kids = append(v.kids, k)
	return true
}

func (p *plainParser) list(v *plain, depth int) bool {
	p.pos++
	for p.blank(); p.peek() != ']'; p.blank() {
		if p.isLabel() {
			return false
		}
		k := p.value(depth + 1)
		if k == nil {
			return false
		}
		k.at, k.key = k.val, strconv.Itoa(len(v.kids))
		v.kids = append(v.kids, k)
		p.separator(']')
	}
	return p.accept("]")
}

// isLabel says that what comes next is a label, which no list has.
func (p *plainParser) isLabel() bool {
	was := *p
	_, _, ok := p.label()
	*p = was
	return ok
}

// stringOrField reads a string, or the first label of a struct without braces.
func (p *plainParser) stringOrField(v *plain, depth int) bool {
	if p.isLabel() {
		return p.nested(v, depth)
	}
	v.kind = cue.StringKind
	var ok bool
	v.text, ok = p.quoted()
	return ok
}

// wordOrField reads true or false, or the first label of a struct without
// braces.
func (p *plainParser) wordOrField(v *plain, depth int) bool {
	if p.isLabel() {
		return p.nested(v, depth)
	}
	v.kind, v.text = cue.BoolKind, p.ident()
	return (v.text == "true" || v.text == "false") && !isWord(p.peek())
}

func (p *plainParser) nested(v *plain, depth int) bool {
	v.kind = cue.StructKind
	k := p.field(depth + 1)
	v.kids = []*plain{k}
	return k != nil
}

// isWord says that c would go on with a number or a word.
func isWord(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '_' || c == '.' || c == '$' || c == '#' || c >= utf8.RuneSelf
}

// number reads a decimal that every reader takes for the same.
func (p *plainParser) number(v *plain) bool {
	const most = 15 // digits: what a float64 tells apart
	start := p.pos
	v.kind = cue.IntKind
	p.accept("-")
	first := p.pos
	if n := p.digits(); n == 0 || p.src[first] == '0' && (n > 1 || first > start) {
		return false
	}
	if p.peek() == '.' {
		p.pos++
		v.kind = cue.FloatKind
		if p.digits() == 0 {
			return false
		}
	}
	v.text = p.src[start:p.pos]
	return len(v.text) <= most && !isWord(p.peek())
}

func (p *plainParser) digits() int {
	start := p.pos
	for isDigit(p.peek()) {
		p.pos++
	}
	return p.pos - start
}

// quoted reads a string of one line whose escapes are simple.
func (p *plainParser) quoted() (string, bool) {
	if p.peek() != '"' {
		return "", false
	}
	p.pos++
	start := p.pos
	escaped := false
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; c {
		case '"':
			text := p.src[start:p.pos]
			p.pos++
			if text == "" && p.peek() == '"' {
				return "", false // """
			}
			if escaped {
				text = simpleEscapes.Replace(text)
			}
			return text, true
		case '\\':
			if p.pos+1 >= len(p.src) || !strings.ContainsRune(`"\nt`, rune(p.src[p.pos+1])) {
				return "", false
			}
			escaped = true
			p.pos += 2
		default:
			if c < ' ' {
				return "", false
			}
			p.pos++
		}
	}
	return "", false
}

var simpleEscapes = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\n`, "\n", `\t`, "\t")
