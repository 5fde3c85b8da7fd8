package discover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// Decode reads a static list of workloads, {"workloads": [model.Workload…]},
// and gives it sorted by node id. Everything wrong is reported at once, each
// error naming the workload: unknown fields, bad addresses, unknown roles and
// ids that stand twice are refused.
func Decode(data []byte) ([]*model.Workload, error) {
	var file struct {
		Workloads []*model.Workload `json:"workloads"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("workloads: %w%s", err, position(data, err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("workloads: text after the JSON value")
	}
	if file.Workloads == nil {
		return nil, errors.New(`workloads: the field "workloads" is missing; an empty list is written []`)
	}
	if err := validate(file.Workloads); err != nil {
		return nil, err
	}
	slices.SortFunc(file.Workloads, func(a, b *model.Workload) int { return strings.Compare(a.NodeID(), b.NodeID()) })
	return file.Workloads, nil
}

// position gives " (line n)" for errors that know where they are.
func position(data []byte, err error) string {
	var offset int64 = -1
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &typ):
		offset = typ.Offset
	}
	if offset < 0 || offset > int64(len(data)) {
		return ""
	}
	return fmt.Sprintf(" (line %d)", 1+bytes.Count(data[:offset], []byte("\n")))
}

func validate(ws []*model.Workload) error {
	var errs []error
	seen := map[string]int{}
	for i, w := range ws {
		if w == nil {
			errs = append(errs, fmt.Errorf("workload %d: null", i))
			continue
		}
		for _, err := range Check(w) {
			errs = append(errs, fmt.Errorf("workload %d (%q): %w", i, w.ID, err))
		}
		key := w.Service.Namespace + "/" + w.ID
		if first, twice := seen[key]; twice {
			errs = append(errs, fmt.Errorf("workload %d: id %q stands twice, first as workload %d", i, key, first))
			continue
		}
		seen[key] = i
	}
	return errors.Join(errs...)
}

// name is what an id, a namespace and a version are made of. "/" and "~"
// divide the parts of a node id and cannot be in one.
var name = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// Check says what is wrong with a workload that a platform has given.
func Check(w *model.Workload) []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch w.Role {
	case model.RoleSidecar, model.RoleGateway, model.RoleGRPC:
	default:
		bad("role %q is none of sidecar, gateway, grpc", w.Role)
	}
	for field, value := range map[string]string{"id": w.ID, "service.namespace": w.Service.Namespace, "service.name": w.Service.Name} {
		if !name.MatchString(value) {
			bad("%s %q is not a name", field, value)
		}
	}
	if w.Version != "" && !name.MatchString(w.Version) {
		bad("version %q is not a name", w.Version)
	}
	if w.Version == "" && w.Role != model.RoleGateway {
		bad("version is missing")
	}
	if w.Role != model.RoleSidecar && len(w.App)+len(w.Outbound) > 0 {
		bad("app and outbound are for the role sidecar only")
	}
	if err := w.Locality.Validate(); err != nil {
		bad("locality: %w", err)
	}
	errs = append(errs, checkPorts("inbound", w.Inbound)...)
	errs = append(errs, checkPorts("app", w.App)...)
	for key, addr := range w.Outbound {
		if !outboundKey.MatchString(key) {
			bad(`outbound %q is not "namespace/name:port"`, key)
		}
		if err := checkAddress(addr); err != nil {
			bad("outbound %q: %w", key, err)
		}
	}
	errs = append(errs, checkCapture(w)...)
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

var outboundKey = regexp.MustCompile(`^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+:[1-9][0-9]{0,4}$`)

func checkPorts(field string, ports map[uint16]string) []error {
	var errs []error
	for port, addr := range ports {
		if port == 0 {
			errs = append(errs, fmt.Errorf("%s: port 0", field))
		}
		if err := checkAddress(addr); err != nil {
			errs = append(errs, fmt.Errorf("%s %d: %w", field, port, err))
		}
	}
	return errs
}

// checkAddress takes "ip:port" only: a name would have to be resolved, and by
// whom is not for a file to say.
func checkAddress(s string) error {
	a, err := netip.ParseAddrPort(s)
	switch {
	case err != nil:
		return fmt.Errorf(`address %q is not "ip:port"`, s)
	case a.Port() == 0:
		return fmt.Errorf("address %q has port 0", s)
	case a.Addr().Zone() != "" || a.Addr().IsMulticast():
		return fmt.Errorf("address %q cannot be an endpoint", s)
	}
	return nil
}
