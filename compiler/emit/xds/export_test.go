package xds

// KeepInMemory bounds what a Renderer keeps in memory.
func (r *Renderer) KeepInMemory(bytes int) { r.limit = bytes }

// NoSpill makes a Renderer do with memory from now on.
func (r *Renderer) NoSpill() { r.spill.full = true }

// Units counts what proxies have in common.
func (r *Renderer) Units() int { return len(r.units) }
