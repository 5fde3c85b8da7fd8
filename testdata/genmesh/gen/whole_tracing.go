package gen

// tracing draws a block of any kind.
func (m *mesh) tracing(f *source) {
	f.open("tracing")
	defer f.close()
	if m.chance(50) {
		f.line("otlp: %s", m.collector("otlp"))
	} else {
		f.line("zipkin: %s", m.collector("zipkin", m.maybe(`, path: "/spans"`), m.maybe(", w3c: "+m.pick("true", "false"))))
	}
	if m.chance(70) {
		f.line("sample: %s", m.pick("0", "0.01", "12.5", "100"))
	}
	if m.chance(30) {
		f.line("off: false")
	}
	if m.chance(60) {
		f.line(`tags: {stage: literal: "test", user: {header: "x-user", default: "nobody"}, home: {env: "HOME", default: "/"}}`)
	}
}

// collector is an external that takes telemetry by a protocol.
func (m *mesh) collector(protocol string, more ...string) string {
	m.collects = true
	out := `{to: "shop/collector"`
	if m.chance(50) || m.seconds() {
		out += ", port: " + quote(protocol)
	}
	for _, field := range more {
		out += field
	}
	return out + "}"
}

func (m *mesh) writeCollector() {
	if !m.collects {
		return
	}
	f := newSource()
	f.open("external: collector")
	f.line("namespace: \"shop\"")
	f.line("host: \"collector.example\"")
	f.line("ports: {otlp: {number: 4317, protocol: \"grpc\"}, zipkin: {number: 9411, protocol: \"http\"}%s}",
		m.second(`otlp2: {number: 4318, protocol: "grpc"}, zipkin2: {number: 9412, protocol: "http"}`))
	if m.allAdmin { // which the mesh's health checks ask
		f.line("traffic: health: {tcp: {}, interval: \"10s\", timeout: \"1s\"}")
	}
	f.close()
	m.files["shop/collector.cue"] = f.String()
}

// seconds says that externals which the mesh asks itself have a second port of
// each kind, so that one has to be named.
func (m *mesh) seconds() bool { return m.whole && len(m.services)%2 == 0 }

func (m *mesh) second(port string) string {
	if !m.seconds() {
		return ""
	}
	return ", " + port
}
