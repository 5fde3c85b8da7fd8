package diag

// Codes of what proxies take and hold: 4095 to 4099, and 2187 to 2189.
const (
	ConnectionsTight Code = "MSH4095" // fewer connections than callers
	BadPings         Code = "MSH4096" // pings in times that cannot be
	PingsUnused      Code = "MSH4097" // pings where nothing speaks HTTP/2
	BufferedStream   Code = "MSH4098" // a buffer that waits for ever

	AdmissionNever  Code = "MSH4100" // admission control that never refuses, or a part that nothing asks
	AdmissionEjects Code = "MSH4101" // what is refused counts as failures for callers

	BadCompression   Code = "MSH2187" // types that are none, or not to be compressed
	HeldNowhere      Code = "MSH2188" // compression or buffer where no request of HTTP comes
	UnknownHeldRoute Code = "MSH2189" // compression.except or buffer.except names no route
)
