package bootstrap

import (
	"fmt"
	"regexp"

	yaml "go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const typeKey = "@type"

// maxDepth bounds the nesting of a document.
const maxDepth = 100

// unmarshal fills m from the document: unknown and repeated fields are found
// first, with their places; what is wrong with a value is then looked for
// where it stands.
func (d *document) unmarshal(m proto.Message) error {
	if err := d.checkFields(d.root, m.ProtoReflect().Descriptor(), "", 0); err != nil {
		return err
	}
	raw, err := toJSON(d.root)
	if err != nil {
		return d.fail(d.root, "", "%v", err)
	}
	if err := protojson.Unmarshal(raw, m); err != nil {
		return d.locate(d.root, m.ProtoReflect().Type(), "", err)
	}
	return nil
}

// plain says that a message has a JSON form of its own.
func plain(md protoreflect.MessageDescriptor) bool {
	return md.FullName().Parent() == "google.protobuf" && md.Name() != "Any" && md.Name() != "Empty"
}

func (d *document) checkFields(n *yaml.Node, md protoreflect.MessageDescriptor, path string, depth int) error {
	n = deref(n)
	switch {
	case depth > maxDepth:
		return d.fail(n, path, "nested more than %d deep", maxDepth)
	case plain(md):
		return nil
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil
	case n.Kind != yaml.MappingNode:
		return d.fail(n, path, "an object is needed here")
	case md.FullName() == "google.protobuf.Any":
		t, err := d.anyType(n, path)
		if err != nil {
			return err
		}
		md = t.Descriptor()
		if plain(md) {
			return nil
		}
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value == typeKey {
			continue
		}
		fd := fieldByKey(md, key.Value)
		switch {
		case fd == nil:
			return d.fail(key, join(path, key.Value), "unknown field (%s has none of that name)", md.FullName())
		case seen[string(fd.Name())]:
			return d.fail(key, join(path, key.Value), "field is there twice")
		}
		seen[string(fd.Name())] = true
		if err := d.checkValue(value, fd, join(path, string(fd.Name())), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) checkValue(n *yaml.Node, fd protoreflect.FieldDescriptor, path string, depth int) error {
	n = deref(n)
	switch {
	case fd.IsMap() && n.Kind == yaml.MappingNode:
		md := fd.MapValue().Message()
		for i := 0; md != nil && i+1 < len(n.Content); i += 2 {
			if err := d.checkFields(n.Content[i+1], md, fmt.Sprintf("%s[%q]", path, n.Content[i].Value), depth); err != nil {
				return err
			}
		}
	case fd.IsList() && n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			if fd.Message() == nil {
				break
			}
			if err := d.checkFields(item, fd.Message(), fmt.Sprintf("%s[%d]", path, i), depth); err != nil {
				return err
			}
		}
	case fd.Message() != nil && !fd.IsMap() && !fd.IsList():
		return d.checkFields(n, fd.Message(), path, depth)
	}
	return nil
}

func fieldByKey(md protoreflect.MessageDescriptor, key string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByName(protoreflect.Name(key)); fd != nil {
		return fd
	}
	return md.Fields().ByJSONName(key)
}

func (d *document) anyType(n *yaml.Node, path string) (protoreflect.MessageType, error) {
	at := child(n, typeKey)
	if at == nil {
		return nil, d.fail(n, path, "%q is missing", typeKey)
	}
	t, err := protoregistry.GlobalTypes.FindMessageByURL(at.Value)
	if err != nil {
		return nil, d.fail(at, path, "type %q is not supported", at.Value)
	}
	return t, nil
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

// locate narrows a protojson error down to the smallest value that cannot be
// read, by reading the fields of each message one by one.
func (d *document) locate(n *yaml.Node, t protoreflect.MessageType, path string, whole error) error {
	n = deref(n)
	if t.Descriptor().FullName() == "google.protobuf.Any" {
		inner, err := d.anyType(n, path)
		if err != nil {
			return err
		}
		t = inner
	}
	if plain(t.Descriptor()) || n.Kind != yaml.MappingNode {
		return d.fail(n, path, "%s", reason(whole))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		fd := fieldByKey(t.Descriptor(), key.Value)
		if fd == nil {
			continue
		}
		one := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, value}}
		if err := readAlone(one, t); err != nil {
			return d.locateValue(value, fd, t.New().NewField(fd), join(path, string(fd.Name())), err)
		}
	}
	return d.fail(n, path, "%s", reason(whole))
}

// locateValue looks inside messages; into a list or map, item by item.
func (d *document) locateValue(n *yaml.Node, fd protoreflect.FieldDescriptor, empty protoreflect.Value, path string, whole error) error {
	n = deref(n)
	switch {
	case fd.IsList() && fd.Message() != nil && n.Kind == yaml.SequenceNode:
		t := empty.List().NewElement().Message().Type()
		for i, item := range n.Content {
			if err := readAlone(item, t); err != nil {
				return d.locate(item, t, fmt.Sprintf("%s[%d]", path, i), err)
			}
		}
	case fd.IsMap() && fd.MapValue().Message() != nil && n.Kind == yaml.MappingNode:
		t := empty.Map().NewValue().Message().Type()
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := readAlone(n.Content[i+1], t); err != nil {
				return d.locate(n.Content[i+1], t, fmt.Sprintf("%s[%q]", path, n.Content[i].Value), err)
			}
		}
	case fd.Message() != nil && !fd.IsList() && !fd.IsMap():
		return d.locate(n, empty.Message().Type(), path, whole)
	}
	return d.fail(n, path, "%s", reason(whole))
}

func readAlone(n *yaml.Node, t protoreflect.MessageType) error {
	raw, err := toJSON(n)
	if err != nil {
		return err
	}
	return protojson.Unmarshal(raw, t.New().Interface())
}

// protojson speaks of lines in the JSON that was made from the file.
var jsonPlace = regexp.MustCompile(`^proto:[\s\p{Zs}]*(syntax error )?\(line \d+:\d+\):[\s\p{Zs}]*`)

func reason(err error) string { return jsonPlace.ReplaceAllString(err.Error(), "") }
