package kube

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// keysVolume names the volumes of keys, of which there is one for each directory.
const keysVolume = "meshc-jwks"

// keyDir is a directory of the proxy with files of keys that tokens are verified with
// (JSON Web Key Sets), each an entry of the ConfigMap Options.KeyMap.
type keyDir struct {
	path  string
	items []keyPath
}

var configKey = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)

// KeyOf is the entry of the ConfigMap that holds the file of that path: its path
// without the first "/", and with dots for the others.
func KeyOf(file string) string { return strings.ReplaceAll(strings.TrimPrefix(file, "/"), "/", ".") }

// keyDirs are the directories of the files of keys that the proxy of the pod reads.
func (a *addition) keyDirs() ([]keyDir, error) {
	var files []string
	for _, t := range a.service.JWT {
		if f := t.Keys.File; f != "" && !slices.Contains(files, f) {
			files = append(files, f)
		}
	}
	slices.Sort(files)
	var dirs []string
	entry := map[string]string{}
	for _, f := range files {
		if err := mountable(f); err != nil {
			return nil, fmt.Errorf("service %s names the file of keys %q: %w", a.service.Ref, f, err)
		}
		if first := entry[KeyOf(f)]; first != "" {
			return nil, fmt.Errorf("service %s names the files of keys %q and %q, which would be one entry %q of a ConfigMap", a.service.Ref, first, f, KeyOf(f))
		}
		entry[KeyOf(f)] = f
		dirs = append(dirs, path.Dir(f))
	}
	// A volume in a directory of another one could not be made: they are read-only.
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	dirs = slices.DeleteFunc(slices.Clone(dirs), func(d string) bool {
		return slices.ContainsFunc(dirs, func(o string) bool { return o != d && inside(d, o) })
	})
	out := make([]keyDir, len(dirs))
	for i, d := range dirs {
		out[i].path = d
		for _, f := range files {
			if inside(f, d) {
				out[i].items = append(out[i].items, keyPath{KeyOf(f), strings.TrimPrefix(f, d+"/")})
			}
		}
	}
	return out, nil
}

// mountable says whether a file can be put into a container of the proxy.
func mountable(file string) error {
	dir := path.Dir(file)
	switch {
	case !path.IsAbs(file) || path.Clean(file) != file:
		return fmt.Errorf("it is no absolute path as short as it can be")
	case dir == "/":
		return fmt.Errorf("nothing can be mounted at the root: name a directory")
	case !configKey.MatchString(KeyOf(file)):
		return fmt.Errorf("its entry in a ConfigMap would be %q, which may hold letters, digits, dots, dashes and underscores", KeyOf(file))
	}
	for _, own := range []string{stateDir, tokenDir, rootDir, secretsDir, "/proc", "/sys", "/dev"} {
		if inside(dir, own) || inside(own, dir) {
			return fmt.Errorf("%s is in the way: name another directory", own)
		}
	}
	return nil
}

// inside says that a path is another one or lies below it.
func inside(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

func (a *addition) keyVolumes(dirs []keyDir) []volume {
	var out []volume
	for i, d := range dirs {
		out = append(out, volume{Name: keyVolume(i), ConfigMap: &configMap{Name: a.options.KeyMap, Items: d.items}})
	}
	return out
}

func keyVolume(i int) string { return fmt.Sprintf("%s-%d", keysVolume, i) }

// verifies gives the container of the proxy its files of keys.
func verifies(c *container, dirs []keyDir) {
	for i, d := range dirs {
		c.VolumeMounts = append(c.VolumeMounts, mount{keyVolume(i), d.path, true})
	}
}
