// Package language holds one archive per part of the language: a mesh that
// writes its fields, and the xDS that comes of it. The tests compare the xDS,
// let stock Envoy validate it and meshc-proxy decode it, hold the capability
// table against both, and write docs/features.md from what they found.
package language
