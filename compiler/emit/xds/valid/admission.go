package valid

import (
	"fmt"

	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"
)

// leastSuccess is the least threshold of success rates that Envoy takes, in percent.
const leastSuccess = 1

// admissions look back on whole seconds, and name statuses that there are.
func admissions(a *admissionv3.AdmissionControl) []error {
	var out []error
	if t := a.GetSrThreshold(); t != nil && t.GetDefaultValue().GetValue() < leastSuccess {
		out = append(out, fmt.Errorf("sr_threshold: a success rate of less than %d %%", leastSuccess))
	}
	if w := a.GetSamplingWindow(); w != nil && w.GetSeconds() < 1 {
		out = append(out, fmt.Errorf("sampling_window: it is shorter than a second"))
	}
	for _, r := range a.GetSuccessCriteria().GetHttpCriteria().GetHttpSuccessStatus() {
		if r.GetStart() < 100 || r.GetEnd() > 600 || r.GetStart() > r.GetEnd() {
			out = append(out, fmt.Errorf("http_success_status: [%d, %d) is no range of statuses", r.GetStart(), r.GetEnd()))
		}
	}
	for _, code := range a.GetSuccessCriteria().GetGrpcCriteria().GetGrpcSuccessStatus() {
		if code > 16 {
			out = append(out, fmt.Errorf("grpc_success_status: gRPC has no status %d", code))
		}
	}
	return out
}
