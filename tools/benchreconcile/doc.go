// Package benchreconcile measures the reconciler in a cluster, on a real API server
// and etcd, with simulated proxies that speak ADS over mutual TLS: what a first apply,
// a pass that changes nothing and healing cost, how long a commit takes to be on every
// proxy, and what reconnecting proxies are sent. It is a test: small by itself, and
// as large as the figures are said for with MESHC_BENCH=1, which also keeps its output
// below docs/evidence/bench-reconcile.
package benchreconcile
