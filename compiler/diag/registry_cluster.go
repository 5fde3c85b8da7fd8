package diag

// Codes of a mesh beside a recorded state of clusters: 6020 to 6069.
const (
	BadSnapshot         Code = "MSH6020" // a snapshot that cannot be read
	VersionSelectsNone  Code = "MSH6021" // a version without a pod
	NotInCluster        Code = "MSH6022" // a service that no cluster has
	PortNotInCluster    Code = "MSH6023" // a port that the cluster's service lacks
	ProtocolDiffers     Code = "MSH6024" // appProtocol and the mesh disagree
	TargetPortShared    Code = "MSH6025" // two services on one target port, differently
	PodWithoutProxy     Code = "MSH6026" // a pod of the mesh without a proxy
	ProxyImagesDiffer   Code = "MSH6027" // pods of one namespace with proxies of several images
	PodRunsAsProxy      Code = "MSH6028" // an application under the proxy's user
	InjectionLabels     Code = "MSH6029" // two kinds of injection label
	NamespaceUninjected Code = "MSH6030" // a namespace of the mesh without injection
	AccountDiffers      Code = "MSH6031" // pods with another identity than the mesh says
	GatewayNoPods       Code = "MSH6033" // a gateway without workloads
	GatewayPortHidden   Code = "MSH6034" // a listener that its service does not expose
	SecretMissing       Code = "MSH6035" // a certificate that no cluster has
	SecretMalformed     Code = "MSH6036" // a secret that holds no certificate, or no key
	CertificateExpired  Code = "MSH6037" // a certificate that is not valid at the time
	CertificateExpiring Code = "MSH6038" // a certificate that ends soon
	ClustersDiffer      Code = "MSH6039" // one service, two forms
	CRDVersion          Code = "MSH6040" // a definition that does not serve what meshc writes
	TooFewPods          Code = "MSH6041" // a judgement of outliers that needs more pods
	TargetPortMissing   Code = "MSH6042" // a target port that no pod declares
)

const (
	clusterOne = `{"name": "east", "namespaces": [{"name": "shop"}], `
)

// cluster is 60xx: the mesh beside what runs. Its fragments are of a snapshot.
var cluster = []Entry{
	{BadSnapshot, Error, "a snapshot that cannot be read",
		"A snapshot is JSON as docs/snapshot.md says. It is read strictly: an unknown field may be a misspelt one, and a check that did not see it would say yes to anything.",
		`{"apiVersion": "meshc.dev/v1alpha1", "kind": "ClusterSnapshot", "cluster": []}`,
		`{"apiVersion": "meshc.dev/v1alpha1", "kind": "ClusterSnapshot", "taken": "2026-01-01T00:00:00Z", "clusters": [{"name": "east", "namespaces": [], "services": [], "pods": []}]}`},
	{VersionSelectsNone, Error, "a version without a pod",
		"A version is the pods that its service selects and that have its labels. A route sends to this one, and no pod is of it in any cluster: requests get 503.",
		`{"pods": [{"namespace": "shop", "name": "web-1", "labels": {"app": "web", "version": "v2"}}]}`,
		`{"pods": [{"namespace": "shop", "name": "web-1", "labels": {"app": "web", "version": "v1"}}]}`},
	{NotInCluster, Error, "a service that no cluster has",
		"No cluster has a Service with this name in this namespace, so no proxy finds an instance of it.",
		clusterOne + `"services": [], "pods": []}`, clusterOne + `"services": [{"namespace": "shop", "name": "web"}], "pods": []}`},
	{PortNotInCluster, Error, "a port that the cluster's service lacks",
		"Callers use the port that the mesh declares, and the Service of the cluster has no such port.",
		`{"services": [{"namespace": "shop", "name": "web", "ports": [{"port": 81}]}]}`, `{"services": [{"namespace": "shop", "name": "web", "ports": [{"port": 80}]}]}`},
	{ProtocolDiffers, Warning, "appProtocol and the mesh disagree",
		"The Service of the cluster says by appProtocol what is spoken on the port, and the mesh says something else. One of them is wrong.",
		`{"ports": [{"port": 80, "appProtocol": "grpc"}]}`, `{"ports": [{"port": 80, "appProtocol": "http"}]}`},
	{TargetPortShared, Warning, "two services on one target port, differently",
		"Both services lead to the same port of the same pod, and the mesh says of one that it speaks another protocol than of the other. The proxy of the pod has one listener for it, which can do one of them.",
		`{"services": [{"name": "web", "ports": [{"port": 80, "targetPort": 8080}]}, {"name": "rpc", "ports": [{"port": 81, "targetPort": 8080}]}]}`,
		`{"services": [{"name": "web", "ports": [{"port": 80, "targetPort": 8080}]}, {"name": "rpc", "ports": [{"port": 81, "targetPort": 9090}]}]}`},
	{PodWithoutProxy, Warning, "a pod of the mesh without a proxy",
		"The pod belongs to a service of the mesh, and nothing beside it speaks mutual TLS: callers cannot reach it, and its own calls carry no identity. An image \"auto\" is one that injection has not replaced.",
		`{"pods": [{"namespace": "shop", "name": "web-1"}]}`, `{"pods": [{"namespace": "shop", "name": "web-1", "proxyImage": "meshc-proxy:1"}]}`},
	{ProxyImagesDiffer, Warning, "proxies of several images in one namespace",
		"Pods that were not restarted since an upgrade run the older proxy. What the mesh says may mean something else to it.",
		`{"pods": [{"proxyImage": "meshc-proxy:1"}, {"proxyImage": "meshc-proxy:2"}]}`, `{"pods": [{"proxyImage": "meshc-proxy:2"}, {"proxyImage": "meshc-proxy:2"}]}`},
	{PodRunsAsProxy, Warning, "an application under the proxy's user",
		"What user 1337 sends is not captured, because the proxy is that user: the application's calls go out past the mesh.",
		`{"pods": [{"runAsUser": 1337}]}`, `{"pods": [{"runAsUser": 1000}]}`},
	{InjectionLabels, Warning, "two kinds of injection label",
		"The namespace asks for injection by one label and refuses it, or asks another mesh for it, by the other.",
		`{"labels": {"meshc.dev/inject": "enabled", "istio-injection": "enabled"}}`, `{"labels": {"meshc.dev/inject": "enabled"}}`},
	{NamespaceUninjected, Info, "a namespace of the mesh without injection",
		"Services of the mesh are in this namespace, and it has no label meshc.dev/inject=enabled, so new pods get no proxy of themselves.",
		`{"namespaces": [{"name": "shop"}]}`, `{"namespaces": [{"name": "shop", "labels": {"meshc.dev/inject": "enabled"}}]}`},
	{AccountDiffers, Error, "pods with another identity than the mesh says",
		"Callers accept only the identity that the mesh gives the service, which ends in its service account. This pod runs under another one, so every connection to it fails.",
		`{"pods": [{"name": "web-1", "serviceAccount": "default"}]}`, `{"pods": [{"name": "web-1", "serviceAccount": "web"}]}`},
	{GatewayNoPods, Error, "a gateway without workloads",
		"No pod runs this gateway: no cluster has a Service of its name that selects one.",
		`{"services": [{"name": "edge", "selector": {"app": "edge"}}], "pods": []}`, `{"services": [{"name": "edge", "selector": {"app": "edge"}}], "pods": [{"labels": {"app": "edge"}}]}`},
	{GatewayPortHidden, Warning, "a listener that its service does not expose",
		"The gateway listens on a port that its Service in the cluster does not lead to, so nobody outside reaches it.",
		`{"services": [{"name": "edge", "ports": [{"port": 80}]}]}`, `{"services": [{"name": "edge", "ports": [{"port": 80, "targetPort": 8080}]}]}`},
	{SecretMissing, Error, "a certificate that no cluster has",
		"A listener of a gateway shows a certificate from a Secret, and the gateway's namespace has no such Secret.",
		`{"secrets": []}`, `{"secrets": [{"namespace": "shop", "name": "edge-cert", "certificate": "-----BEGIN CERTIFICATE-----...", "hasKey": true}]}`},
	{SecretMalformed, Error, "a secret without a certificate or a key",
		"A certificate is PEM with at least one block CERTIFICATE, and nothing that does not parse. A listener also needs the key.",
		`{"secrets": [{"name": "edge-cert", "certificate": "nonsense", "hasKey": true}]}`, `{"secrets": [{"name": "edge-cert", "certificate": "-----BEGIN CERTIFICATE-----...", "hasKey": true}]}`},
	{CertificateExpired, Error, "a certificate that is not valid",
		"At the time of the check the certificate is over, or has not begun. Clients refuse it.",
		`notAfter: 2025-12-31, checked on 2026-01-01`, `notAfter: 2026-12-31, checked on 2026-01-01`},
	{CertificateExpiring, Warning, "a certificate that ends soon",
		"The certificate ends within 30 days: what renews it does not, or somebody has to.",
		`notAfter: 2026-01-15, checked on 2026-01-01`, `notAfter: 2026-12-31, checked on 2026-01-01`},
	{ClustersDiffer, Warning, "one service, two forms",
		"A service is one in all clusters: a caller in one may reach an instance in another. Its ports differ between these clusters.",
		`{"clusters": [{"name": "east", "services": [{"name": "web", "ports": [{"port": 80}]}]}, {"name": "west", "services": [{"name": "web", "ports": [{"port": 80}, {"port": 81}]}]}]}`,
		`{"clusters": [{"name": "east", "services": [{"name": "web", "ports": [{"port": 80}]}]}, {"name": "west", "services": [{"name": "web", "ports": [{"port": 80}]}]}]}`},
	{CRDVersion, Error, "a definition that does not serve what meshc writes",
		"Objects of meshc.dev are written as v1alpha1, which this cluster's definition does not serve.",
		`{"crds": [{"name": "meshes.meshc.dev", "served": ["v1alpha0"]}]}`, `{"crds": [{"name": "meshes.meshc.dev", "served": ["v1alpha1"]}]}`},
	{TooFewPods, Warning, "a judgement of outliers that needs more pods",
		"successRate and failurePercent compare endpoints, and need minHosts of them with enough requests. The version has fewer pods in all clusters together, so nothing is ever left out.",
		`{"pods": [{"name": "web-1"}, {"name": "web-2"}]}  // outliers: successRate: {}, which needs 5`, `{"pods": [{"name": "web-1"}, {"name": "web-2"}]}  // outliers: successRate: minHosts: 2`},
	{TargetPortMissing, Warning, "a target port that no pod declares",
		"The Service leads to a port of its pods that none of their containers declares. Mostly the number is wrong; a container may listen on a port that it does not declare.",
		`{"ports": [{"port": 80, "targetPort": 8080}], "pods": [{"ports": [{"port": 9090}]}]}`, `{"ports": [{"port": 80, "targetPort": 8080}], "pods": [{"ports": [{"port": 8080}]}]}`},
}
