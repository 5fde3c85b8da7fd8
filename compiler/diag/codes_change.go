package diag

// Codes of what a change of the mesh does to requests: 2150 to 2169. meshc diff
// reports them; vet, which sees one tree only, never does.
const (
	ChangeBlackhole Code = "MSH2150" // requests that were answered are taken by nothing
	ChangeExpose    Code = "MSH2151" // somebody may call who might not
	ChangeWeaken    Code = "MSH2152" // mutual TLS or a timeout is loosened
	ChangeFault     Code = "MSH2153" // injected errors or delays change
	ChangeNarrow    Code = "MSH2154" // somebody may no longer call
	ChangeReroute   Code = "MSH2155" // another destination or answer
	ChangeRestart   Code = "MSH2156" // workloads must restart
	ChangeShift     Code = "MSH2157" // weights change
	ChangeHarden    Code = "MSH2158" // mutual TLS or a timeout is tightened
	ChangeTune      Code = "MSH2159" // resilience, headers, choice of endpoints
	ChangeUnknown   Code = "MSH2160" // it cannot be told what changes
)
