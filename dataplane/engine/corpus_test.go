package engine

import (
	"fmt"
	"strings"
)

// corpus is more of what is to be refused, class by class: the ways in which
// parsers of HTTP/1 are known to differ about where a request ends, whom it is
// for and what it asks.
func corpus() (out []probe) {
	refuse := func(format string, args ...any) { out = append(out, probe{raw: fmt.Sprintf(format, args...)}) }
	post := func(fields, body string) { refuse("POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n%s", fields, body) }
	for _, c := range []string{"\x00", "\x01", "\x07", "\x08", "\x0b", "\x0c", "\x1b", "\x7f", "\n", "\r"} { // in names, values and lines
		refuse("GET / HTTP/1.1\r\nHost: a\r\nX%sY: b\r\n\r\n", c)
		refuse("GET / HTTP/1.1\r\nHost: a\r\nX: b%sc: d\r\n\r\n", c)
		refuse("GET /%sa HTTP/1.1\r\nHost: a\r\n\r\n", c)
		refuse("G%sT / HTTP/1.1\r\nHost: a\r\n\r\n", c)
		refuse("GET / HTTP/1.1%s\r\nHost: a\r\n\r\n", c)
		refuse("GET / HTTP/1.1\r\nHost: a%sb\r\n\r\n", c)
	}
	for _, name := range []string{" X", "\tX", "X ", "X\t", "", "X Y", "X(Y", "X/Y", "X[", "X\"", "X,Y", "X;Y", "X=Y", "X@Y", "X\\Y", "X{Y", "é", "X\u00a0"} {
		refuse("GET / HTTP/1.1\r\nHost: a\r\n%s: b\r\n\r\n", name)
	}
	refuse("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n")
	refuse("GET / HTTP/1.1\r\n X: folded first\r\nHost: a\r\n\r\n")
	refuse("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n")
	refuse("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")
	for _, length := range []string{"-1", "+1", "1 ", "0x1", "1.0", "1e1", "1,1", "1, 2", "1;", "\"1\"", "", "a", "18446744073709551616", "99999999999999999999999", "1_0", "１", "0b1", " 1 1", "-0"} {
		if strings.TrimSpace(length) != "1" {
			post("Content-Length: "+length, "a")
		}
	}
	post("Content-Length: 1\r\nContent-Length: 1", "a")
	post("Content-Length: 1\r\nContent-Length: 2", "a")
	post("Content-Length: 1\r\ncontent-length: 01", "a")
	for _, coding := range []string{"", "chunked, identity", "identity, chunked", "chunked,", ",chunked", "chunked;q=1", "chunked ,chunked", "gzip", "gzip, chunked", "chunked\x00", "chunke", "chunkedd", "cHuNkEd, x", "'chunked'", "x-chunked", "chunked chunked", "\u212achunked", "identity", "deflate", "chun\tked"} {
		post("Transfer-Encoding: "+coding, "0\r\n\r\n")
	}
	post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n")
	post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "0\r\n\r\n")
	post("Content-Length: 0\r\nTransfer-Encoding: chunked", "0\r\n\r\n")
	post("Transfer-Encoding: chunked\r\nContent-Length: 0", "0\r\n\r\n")
	refuse("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")
	for _, chunk := range []string{"g\r\n", "\r\n", "-1\r\na\r\n", "+1\r\na\r\n", "0x1\r\na\r\n", "1 \r\na\r\n", " 1\r\na\r\n", "1\t\r\na\r\n", "1\n", "1\r\nab\r\n", "1\r\na\n0\r\n", "1\r\na\r0\r\n", "1\r\na", "ffffffffffffffff\r\n", "10000000000000000\r\n", "1_0\r\na\r\n",
		"1;\x00\r\na\r\n", "1;a\nb\r\na\r\n", "1,2\r\na\r\n", "１\r\na\r\n", "1\r\r\na\r\n", "0\r\nX : y\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\nX\x00: y\r\n\r\n", "0\r\nno colon\r\n\r\n", "0\n\n", "0\r\n\n", "0\r\nX: a\rb\r\n\r\n"} {
		if chunk == "1\r\na" {
			continue // not over yet
		}
		post("Transfer-Encoding: chunked", chunk+strings.Repeat("0\r\n\r\n", 2))
	}
	for _, host := range []string{"", "a b", "a,b", "a/b", "a?b", "a#b", "a@b", "user:pw@a", "a:", "a:b", "a:99999", "a:-1", "a:80:80", "[::1", "::1", "[::1]a", "[]", "[g]", "a\\b", "<a>", "a%00b", "a%2fb", "é", "a;b", "a\"b", "$(a)", "{a}", "a|b", "`a`", strings.Repeat("a", 300)} {
		refuse("GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	}
	refuse("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")
	refuse("GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n")
	refuse("GET / HTTP/1.0\r\n\r\n")
	for _, target := range []string{"*", "a", "?a", "#", "/#", "/a#b", "http://", "http:///a", "http://b/", "http://a@b/", "http://a:80/", "https://a/", "ftp://a/", "//a b", "/a b", "http://a\\/", "http://a#b", "/\u00e9", "/\x80", "/\xff",
		"/.", "/..", "/a/.", "/a/..", "/./a", "/a/../b", "/%2e", "/%2E%2e", "/a/%2e./b", "/.%2e/", "/a/..;/b", "/..;x=y/", "/%2e%2e;/", "/a\\b", "/a%5cb", "/a%5Cb", "/..%2fa", "/..%5ca", "/%00", "/a%00.html", "\\a", "/a/..%2F..%2Fetc"} {
		refuse("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target)
	}
	for _, method := range []string{"", "get", "Get", "GE T", "GET:", "G,T", "(GET)", "\"GET\"", "é", "GET/", "{}", "GET;"} {
		refuse("%s / HTTP/1.1\r\nHost: a\r\n\r\n", method)
	}
	for _, version := range []string{"", "HTTP/1", "HTTP/1.", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1.1", "http/1.1", "HTTP/11", "HTTP/1.10", "HTTP /1.1", "HTTP/ 1.1", "HTTPS/1.1", "HTTP/-1.1", "HTTP/1,1", "XTTP/1.1", "HTTP/1.1 x", "\tHTTP/1.1", " HTTP/1.1"} {
		refuse("GET / %s\r\nHost: a\r\n\r\n", version)
	}
	refuse("\x00GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	refuse("\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	refuse("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n")
	refuse("GET  / HTTP/1.1\r\nHost: a\r\n\r\n")
	refuse("GET /  HTTP/1.1\r\nHost: a\r\n\r\n")
	refuse("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n")
	return out
}
