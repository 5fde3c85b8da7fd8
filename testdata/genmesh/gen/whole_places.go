package gen

// places draws which places get requests, of owners that run in some.
func (m *mesh) places(f *source, owner string) {
	if owner == "external" || !m.chance(40) {
		return
	}
	switch m.dice.IntN(3) {
	case 0:
		f.line("locality: {mode: \"failover\"%s}", m.maybe(`, failover: [`+m.pick(
			`{from: "eu", to: ["us/east", "us"]}`, `{from: "eu/a", to: ["eu/b", "*"]}, {from: "eu", to: ["us"]}`, `{from: "*", to: ["eu/a/1", "eu"]}`)+`]`))
	case 1:
		f.line("locality: {mode: \"distribute\", distribute: [%s]}", m.pick(
			`{from: "*", to: {"eu/a": 12.25, eu: 80, "*": 7.75}}`, `{from: "eu", to: {eu: 99.99, us: 0.01}}, {from: "us", to: us: 100}`, `{from: "eu/a", to: "eu/a/1": 100}`))
	default:
		f.line("locality: {mode: \"zoneAware\"%s}", m.maybe(", minCluster: 2"))
	}
	m.use("traffic.locality")
}
