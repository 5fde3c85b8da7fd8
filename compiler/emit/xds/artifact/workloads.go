package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/meshc/meshc/compiler/model"
)

// ParseWorkloads reads {"workloads": [model.Workload…]}, the format of static
// discovery. A field that it does not know is an error.
func ParseWorkloads(data []byte) ([]*model.Workload, error) {
	var doc struct {
		Workloads []*model.Workload `json:"workloads"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("workloads: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("workloads: something follows the document")
	}
	for i, w := range doc.Workloads {
		if err := complete(w); err != nil {
			return nil, fmt.Errorf("workloads[%d]: %w", i, err)
		}
	}
	return doc.Workloads, nil
}

// complete asks for what makes the name of a file.
func complete(w *model.Workload) error {
	switch {
	case w == nil:
		return errors.New("it is null")
	case w.ID == "" || w.Service.Namespace == "" || w.Service.Name == "":
		return errors.New("id, service.namespace and service.name are required")
	case w.Role != model.RoleGateway && w.Version == "":
		return fmt.Errorf("workload %q: version is required", w.ID)
	}
	return nil
}
