package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) admission() *intent.Admission {
	return &intent.Admission{
		Window:      c.optionalText("window"),
		SuccessRate: c.optionalDecimal("successRate"), Aggression: c.optionalDecimal("aggression"), MaxRejection: c.optionalDecimal("maxRejection"),
		MinRPS:  c.optionalNumber("minRPS"),
		Success: block(c, "success", cursor.admissionSuccess),
		At:      c.label(),
	}
}

func (c cursor) admissionSuccess() *intent.AdmissionSuccess {
	return &intent.AdmissionSuccess{Statuses: c.texts("statuses"), GRPCStatuses: c.texts("grpcStatuses"), At: c.label()}
}
