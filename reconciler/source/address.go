package source

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

type scheme string

const (
	schemeLocal scheme = ""
	schemeHTTP  scheme = "http"
	schemeHTTPS scheme = "https"
	schemeSSH   scheme = "ssh"
	schemeGit   scheme = "git"
)

var defaultPorts = map[scheme]string{schemeSSH: "22", schemeGit: "9418"}

// address is where a repository is. It holds no credentials by construction.
type address struct {
	scheme scheme
	user   string // ssh only
	host   string
	port   string // "" for the scheme's own (http, https)
	path   string // absolute for a local repository
	scp    bool   // written host:path, whose path is relative to the home there
}

// String gives the address in URL form, or the path of a local repository.
func (a address) String() string {
	if a.scheme == schemeLocal {
		return a.path
	}
	if a.scp {
		return a.user + "@" + a.host + ":" + a.path
	}
	u := url.URL{Scheme: string(a.scheme), Host: a.host, Path: a.path}
	if strings.Contains(a.host, ":") {
		u.Host = "[" + a.host + "]"
	}
	if a.port != "" && a.port != defaultPorts[a.scheme] {
		u.Host = net.JoinHostPort(a.host, a.port)
	}
	if a.user != "" {
		u.User = url.User(a.user)
	}
	return u.String()
}

// hostPort is what is dialled.
func (a address) hostPort() string { return net.JoinHostPort(a.host, a.port) }

// loopback says that the host is this machine whatever a resolver says.
func (a address) loopback() bool {
	if a.host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(a.host)
	return err == nil && ip.IsLoopback()
}

func parseAddress(s string) (address, error) {
	switch {
	case s == "":
		return address{}, fmt.Errorf("repository address is empty")
	case strings.ContainsAny(s, "\x00\r\n"):
		return address{}, fmt.Errorf("repository address holds a control character")
	case strings.Contains(s, "://"):
		return parseURL(s)
	case isSCPLike(s):
		return parseSCPLike(s)
	}
	abs, err := filepath.Abs(s)
	if err != nil {
		return address{}, fmt.Errorf("repository path %q: %w", s, err)
	}
	return address{path: abs}, nil
}

// isSCPLike follows git-clone(1): host:path, if there is no slash before the
// first colon.
func isSCPLike(s string) bool {
	colon := strings.IndexByte(s, ':')
	slash := strings.IndexByte(s, '/')
	return colon > 0 && (slash < 0 || colon < slash)
}

func parseSCPLike(s string) (address, error) {
	login, path, _ := strings.Cut(s, ":")
	user, host, found := strings.Cut(login, "@")
	if !found {
		user, host = "", login
	}
	return checkSSH(address{scheme: schemeSSH, user: user, host: host, port: "22", path: path, scp: true})
}

func parseURL(s string) (address, error) {
	u, err := url.Parse(s)
	if err != nil {
		// The text of a url.Error repeats the address, which may hold a password.
		return address{}, fmt.Errorf("repository address is not a URL")
	}
	a := address{scheme: scheme(strings.ToLower(u.Scheme)), host: u.Hostname(), port: u.Port(), path: u.Path}
	switch a.scheme {
	case schemeHTTP, schemeHTTPS, schemeGit, schemeSSH:
	default:
		return address{}, fmt.Errorf("repository scheme %q is not supported (https, ssh, http and git are, and a plain path)", u.Scheme)
	}
	if !validHost(a.host) {
		return address{}, fmt.Errorf("repository address names no valid host")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return address{}, fmt.Errorf("repository address %s has a query or a fragment", a)
	}
	if a.path == "" || a.path == "/" {
		return address{}, fmt.Errorf("repository address %s needs a path", a)
	}
	if a.port == "" {
		a.port = defaultPorts[a.scheme]
	}
	return withUser(a, u.User)
}

func withUser(a address, info *url.Userinfo) (address, error) {
	_, hasPassword := info.Password()
	switch {
	case hasPassword:
		return address{}, fmt.Errorf("repository address %s holds a password: put it into a file and name the file", a)
	case info.Username() != "" && a.scheme != schemeSSH:
		return address{}, fmt.Errorf("repository address %s holds a user name: give it as an option beside the token file", a)
	}
	a.user = info.Username()
	if a.scheme == schemeSSH {
		return checkSSH(a)
	}
	return a, nil
}

// checkSSH fills the user and refuses parts that a server's shell could take
// for an option.
func checkSSH(a address) (address, error) {
	if a.user == "" {
		a.user = "git"
	}
	if !validHost(a.host) || strings.ContainsAny(a.user, "@:/") {
		return address{}, fmt.Errorf("repository address names no valid user and host")
	}
	if a.path == "" {
		return address{}, fmt.Errorf("repository address %s needs a path", a)
	}
	if strings.HasPrefix(a.path, "-") {
		return address{}, fmt.Errorf("repository path %q begins with a dash", a.path)
	}
	return a, nil
}

// validHost takes an IP address or what can stand in DNS.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	for _, c := range []byte(host) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return host != "" && host[0] != '-'
}
