// Package kube runs meshc-controller against Kubernetes' own API server and etcd, a
// repository behind git http-backend, and meshc-proxy with applications behind it:
// from a commit to what requests get.
package kube
