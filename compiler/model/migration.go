package model

import "time"

// Migration is a planned change of ports from permissive to strict, until when
// it is to be done.
type Migration struct {
	Until  time.Time
	Origin Origin
}
