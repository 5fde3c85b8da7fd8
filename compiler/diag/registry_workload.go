package diag

// Codes of pods and their proxies: 1100 to 1119.
const (
	BadCapture          Code = "MSH1100" // not a range of addresses, or none that counts
	DirectPort          Code = "MSH1101" // a port of the service that clients reach without its proxy
	WorkloadDoesNothing Code = "MSH1102" // a field that another makes useless
	BadQuantity         Code = "MSH1103" // an amount that no container can have
	BadImage            Code = "MSH1104" // not the name of an image
	ReservedPort        Code = "MSH6100" // a port of the service that its proxy has in every pod
)

// workload is 11xx: how pods get a proxy.
var workload = []Entry{
	{BadCapture, Error, "not a range of addresses to capture",
		"A range is a network such as \"10.0.0.0/8\", or one address; bits behind the prefix would have no effect. A range that `exclude` takes as a whole captures nothing. The ports of the proxy itself cannot be excluded.",
		"capture: outbound: include: [\"10.0.0.1/8\"]", "capture: outbound: include: [\"10.0.0.0/8\"]"},
	{DirectPort, Error, "a port of the service that goes past its proxy",
		"Callers speak mutual TLS to the ports of a service, and its proxy decides who is let in. Connections to an excluded port reach the application itself, which knows neither.",
		"ports: http: {number: 9080, protocol: \"http\"}\nworkload: capture: inbound: exclude: [9080]", "ports: http: {number: 9080, protocol: \"http\"}\nworkload: capture: inbound: exclude: [9090]"},
	{WorkloadDoesNothing, Error, "a field of `workload` that has no effect",
		"Another field makes it useless, or it says nothing: it would be accepted and do nothing.",
		"workload: {inject: false, hold: true}", "workload: inject: false"},
	{BadQuantity, Error, "an amount that no container can have",
		"An amount is written as Kubernetes writes it, \"100m\" CPU or \"128Mi\" memory, and is above 0. A container cannot ask for more than it may use.",
		"resources: {requests: cpu: \"2\", limits: cpu: \"500m\"}", "resources: {requests: cpu: \"500m\", limits: cpu: \"2\"}"},
	{BadImage, Error, "not the name of an image",
		"An image is a name with an optional registry before it and a tag or digest behind it: \"registry.example/proxy:v1\".",
		"proxy: image: \"my proxy\"", "proxy: image: \"registry.example/proxy:v1\""},
	{ReservedPort, Error, "a port of the service that is its proxy's",
		"In every pod the proxy takes connections at 15001 and 15006, and answers the kubelet at 15021. An application cannot have these ports as well.",
		"ports: http: {number: 15001, protocol: \"http\"}", "ports: http: {number: 8080, protocol: \"http\"}"},
}
