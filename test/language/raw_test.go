package language

func init() {
	unserved["mesh.raw"] = struct{ place, field, refusal string }{
		"mesh", `raw: x: {resource: "cluster", name: "outbound|80||bank.example", proxies: ["web"], patch: "{\"alt_stat_name\": \"x\"}", hash: "HASH"}`, "alt_stat_name",
	}
}
