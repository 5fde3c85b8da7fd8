// Package reach decides questions about conditions on requests exactly: whether
// any request meets them, whether one implies, meets or equals another, what
// distinguishes two tables of rules, each with a request that shows it. What
// cannot be decided within Limits is an Unknown that names the place; it is
// never guessed.
//
// A request is a point over scheme, port, host, client identity, path, method,
// headers, query, cookies, the client's labels and its token's claims (Kind). A
// Pred is built from Is, All, Any and Not; a Text is a set of values of one
// coordinate. A Space splits each coordinate into the classes that the
// predicates at hand tell apart (package automaton) and holds predicates as
// decision diagrams over these classes (package diagram), where equal sets are
// equal nodes.
//
// What conditions mean is Envoy's meaning. Paths are compared without query and
// in normal form. A header's values are looked at one by one: a condition holds
// when any value meets it (Envoy 1.40, match_headers_individually). Of a query
// key and of a cookie the first value counts, undecoded. A missing value meets
// no condition but a negated one. Expressions match the whole value, and every
// byte is one character to them. Values have no bounds on their length.
//
// The functions in path.go, named.go, header.go and match.go judge single values
// and compare conditions by their form; theirs is no Unknown, and only their
// "true" is certain.
package reach
