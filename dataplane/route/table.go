package route

import "github.com/meshc/meshc/dataplane/message"

// Table is one compiled RouteConfiguration.
type Table struct {
	Name         string
	VirtualHosts []*VirtualHost
}

// VirtualHost is one set of domains and its routes, in order.
type VirtualHost struct {
	Name    string
	Domains []string
	Routes  []*Route
}

// Route pairs a condition with what to do.
type Route struct {
	Entry   *Entry
	Matches func(*message.Request, uint64) bool
}
