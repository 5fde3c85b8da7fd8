package transport

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// fields are the names of a message that this package acts on.
type fields map[protoreflect.Name]bool

var (
	downstreamFields = fields{
		"common_tls_context": true, "require_client_certificate": true, "require_sni": true,
		// Both ask for what is always so.
		"disable_stateless_session_resumption": true, "disable_stateful_session_resumption": true,
	}
	upstreamFields = fields{"common_tls_context": true, "sni": true, "max_session_keys": true}
	commonFields   = fields{
		"tls_params": true, "tls_certificate_sds_secret_configs": true, "alpn_protocols": true,
		"validation_context": true, "validation_context_sds_secret_config": true, "combined_validation_context": true,
	}
	combinedFields   = fields{"default_validation_context": true, "validation_context_sds_secret_config": true}
	validationFields = fields{
		"trusted_ca": true, "match_typed_subject_alt_names": true, "verify_certificate_spki": true,
		"suppress_client_ca_list": true, // the list is never sent
	}
	paramFields   = fields{"tls_minimum_protocol_version": true, "tls_maximum_protocol_version": true, "cipher_suites": true, "ecdh_curves": true}
	sanFields     = fields{"san_type": true, "matcher": true}
	matcherFields = fields{"exact": true, "prefix": true, "suffix": true, "contains": true, "safe_regex": true, "ignore_case": true}
	regexFields   = fields{"regex": true}
)

// allow refuses a message with a field set that is not in known, and one with
// fields that this program's protos do not even have.
func allow(m proto.Message, known fields) error {
	var err error
	r := m.ProtoReflect()
	r.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !known[f.Name()] {
			err = fmt.Errorf("%s is not supported", f.Name())
		}
		return err == nil
	})
	if err == nil && len(r.GetUnknown()) != 0 {
		err = fmt.Errorf("%s: it has fields unknown to this version", r.Descriptor().Name())
	}
	return err
}
