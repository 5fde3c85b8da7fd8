// Package e2e runs whole meshes from the real programs: a Git repository goes
// in, and what comes out is what requests through the sidecars do.
//
// MESHC_SOAK=1 runs the long versions (tools/soak.sh keeps what they print), and
// MESHC_E2E_LOGS names a directory for the logs of failed tests.
package e2e
