package diag

// Codes of YAML and JSON files, and of fields that layers set: MSH1060-1079.
const (
	DuplicateKey  Code = "MSH1060" // one mapping writes a key twice
	AmbiguousYAML Code = "MSH1061" // YAML 1.1 and 1.2 read a scalar differently
	YAMLRefused   Code = "MSH1062" // tags, merge keys, keys that are no text, documents that are no mapping
	DataTooLarge  Code = "MSH1063" // aliases or nesting beyond the bounds
)

// dataFiles is what is wrong with intent in YAML and JSON, beside its shape.
var dataFiles = []Entry{
	{DuplicateKey, Error, "a key is written twice",
		"Most readers of YAML and JSON take the last of two equal keys and forget the first without a word. Documents of one file, and files, unify instead: what they say adds up, and must agree.",
		"service:\n  cart: {owner: team-cart}\n  cart: {host: cart.example.com}", "service:\n  cart: {owner: team-cart, host: cart.example.com}"},
	{AmbiguousYAML, Error, "a value that YAML 1.1 and YAML 1.2 read differently",
		"yes, no, on, off, y and n are truth values in YAML 1.1 and text in YAML 1.2; 010, 0o10, 0b10, 1_000 and 12:30 are different numbers, or text. Which rule a tool follows is chance, so quotes, or true, false and decimal digits, say what is meant. Keys are always text.",
		"owner: no", "owner: \"no\""},
	{YAMLRefused, Error, "a construct of YAML that intent does not have",
		"Intent is mappings with text for keys, sequences, texts, numbers, truth values, anchors and aliases. Tags (!!binary, !custom), merge keys (<<), .inf and .nan are refused, and so is a document that is not a mapping.",
		"service:\n  cart:\n    <<: *base", "service:\n  cart: *base"},
	{DataTooLarge, Error, "a YAML file that grows beyond bounds when it is read",
		"Aliases of one file may expand to 50,000 values, and mappings and sequences may be 500 deep in each other; an anchor cannot hold itself. Nothing that is written by hand comes near.",
		"a: &a [x, x, x]\nb: &b [*a, *a, *a]\n# ...", "a: [x, x, x]"},
}
