package valid

import "google.golang.org/protobuf/reflect/protoreflect"

// rules by the type of message that they are about. Each is about something
// that the constraints of the messages themselves leave open.
var rules = table()

func table() map[protoreflect.FullName]rule {
	out := map[protoreflect.FullName]rule{}
	add := func(name protoreflect.FullName, r rule) { out[name] = r }
	add(on(durations))
	add(on(regexes))
	add(on(substitutions))
	add(on(fractions))
	add(on(ranges64))
	add(on(headerOptions))

	add(on(routeConfigurations))
	add(on(virtualHosts))
	add(on(routes))
	add(on(routeActions))
	add(on(weightedClusters))
	add(on(clusterWeights))
	add(on(retryPolicies))
	add(on(backOffs))
	add(on(directResponses))

	add(on(listeners))
	add(on(connectionManagers))
	add(on(validationContexts))
	add(on(admissions))

	add(on(clusters))
	add(on(assignments))
	add(on(healthChecks))
	add(on(payloads))
	add(on(breakers))
	add(on(outliers))
	return out
}
