package load

// MaybeRunChild evaluates CUE and exits when this process was started as an
// evaluation child, and otherwise returns at once. A program that calls Mesh
// calls it first thing in main, a test binary in TestMain.
func MaybeRunChild() {}
