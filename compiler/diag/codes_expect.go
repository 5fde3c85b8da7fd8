package diag

// Codes of what is expected of a mesh: 2170 to 2174. vet reports the first two,
// and meshc test the others.
const (
	ExpectsNothing     Code = "MSH2170" // an expectation that says nothing of what becomes of requests
	BadExpectation     Code = "MSH2171" // parts of an expectation that exclude each other, or do not belong to it
	ExpectationFails   Code = "MSH2172"
	ExpectationVacuous Code = "MSH2173" // there is nothing that it is about
	ExpectationUnknown Code = "MSH2174" // it cannot be told whether it holds
)
