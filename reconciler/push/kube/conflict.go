package kube

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Owner is a manager and the fields that it holds.
type Owner struct {
	Manager string
	Fields  []string // as paths, sorted
}

// String gives both.
func (o Owner) String() string {
	return fmt.Sprintf("%s (%s)", o.Manager, strings.Join(o.Fields, ", "))
}

// ConflictError says that an object is not ours, and who holds which fields that
// it should have.
type ConflictError struct {
	Object Ref
	Owners []Owner
}

// Error names managers and fields.
func (e *ConflictError) Error() string {
	owners := make([]string, len(e.Owners))
	for i, o := range e.Owners {
		owners[i] = o.String()
	}
	return "it exists already and is not of this mesh; its fields are of " + strings.Join(owners, " and ")
}

// manager is how the API server writes whom a conflict is with, as in: conflict
// with "kubectl-edit" using meshc.dev/v1alpha1 at 2026-01-02T03:04:05Z.
var manager = regexp.MustCompile(`^conflict with "((?:[^"\\]|\\.)*)"`)

// conflicts gives the other managers that an apply met; nothing if err is
// something else.
func conflicts(err error) []Owner {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsConflict(err) || status.Status().Details == nil {
		return nil
	}
	fields := map[string][]string{}
	for _, c := range status.Status().Details.Causes {
		if c.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		name := c.Message
		if m := manager.FindStringSubmatch(c.Message); m != nil {
			name = m[1]
		}
		fields[name] = append(fields[name], strings.TrimPrefix(c.Field, "."))
	}
	var out []Owner
	for name, list := range fields {
		slices.Sort(list)
		out = append(out, Owner{name, slices.Compact(list)})
	}
	slices.SortFunc(out, func(x, y Owner) int { return cmp.Compare(x.Manager, y.Manager) })
	return out
}
