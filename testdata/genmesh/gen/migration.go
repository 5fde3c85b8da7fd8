package gen

// mode writes what ports accept; permissive ones may be on their way to strict.
func (m *mesh) mode(f *source, mtls string) {
	if mtls == "permissive" && m.chance(50) {
		f.line("migration: {to: \"strict\", until: %s}", quote(expiry))
		return
	}
	f.line("mtls: %s", quote(mtls))
}
