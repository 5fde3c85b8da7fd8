// Package interop tests that what the compiler emits is what the data plane
// takes: the two know each other only through xDS, so the test lives beside both.
package interop
