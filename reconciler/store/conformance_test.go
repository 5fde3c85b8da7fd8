package store_test

import (
	"path/filepath"
	"testing"

	"github.com/meshc/meshc/reconciler/store"
	"github.com/meshc/meshc/reconciler/store/storetest"
)

func TestLocalKeepsToWhatStoresAre(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		dir := filepath.Join(t.TempDir(), "state")
		var l *store.Local
		t.Cleanup(func() { _ = l.Close() })
		return func(t *testing.T) storetest.Store {
			if l != nil {
				_ = l.Close()
			}
			var err error
			if l, err = store.Open(dir); err != nil {
				t.Fatal(err)
			}
			return l
		}
	})
}
