// Package e2e runs whole meshes from the real programs: a Git repository goes
// in, and what comes out is what requests through the sidecars do.
//
// MESHC_SOAK=1 runs the long versions and writes what was measured to
// docs/evidence/soak.
package e2e
