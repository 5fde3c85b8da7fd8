package diag

// Codes of raw configuration: 7011 to 7029.
const (
	RawChanged Code = "MSH7011" // the resource is not the one that the patch was written for
	BadRaw     Code = "MSH7012" // a patch that is none, or that gives what Envoy refuses
	RawNowhere Code = "MSH7013" // no proxy concerned has the resource
)

// raw is the part of 7xxx about patches of Envoy's own configuration.
var raw = []Entry{
	{RawChanged, Error, "the resource that a raw patch is for has changed",
		"A patch is written for a resource as it was; after a change of the mesh or a new release of meshc it may fit no longer, and the field that it names may mean something else. So a patch holds the hash of the resource, before the patch, and another one is an error until somebody has looked. `meshc compile` shows the resource.",
		"raw: probe: {resource: \"cluster\", name: \"outbound|80||bank.example\", patch: \"{\\\"alt_stat_name\\\": \\\"bank\\\"}\", hash: \"\"}",
		"raw: probe: {resource: \"cluster\", name: \"outbound|80||bank.example\", patch: \"{\\\"alt_stat_name\\\": \\\"bank\\\"}\", hash: \"41f0c2d9a6e3b587\"} // as vet prints it"},
	{BadRaw, Error, "a raw patch that cannot be merged",
		"A patch is JSON of the resource's message, and unknown fields are refused, so is a field that is set to its default, because merging it would do nothing, and so is whatever makes of the resource something that Envoy would refuse.",
		"patch: json.Marshal({alt_stats_name: \"bank\"})", "patch: json.Marshal({alt_stat_name: \"bank\"})"},
	{RawNowhere, Error, "a raw patch that no proxy gets",
		"Each proxy has the resources of its own service and of those that it uses. A patch of one that no proxy concerned has would do nothing.",
		"raw: probe: {resource: \"cluster\", name: \"outbound|81||bank.example\", patch: \"{}\", hash: \"\"}",
		"raw: probe: {resource: \"cluster\", name: \"outbound|80||bank.example\", patch: \"{}\", hash: \"\"}"},
}
