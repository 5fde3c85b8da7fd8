package globalrate

import (
	"fmt"
	"strconv"
	"strings"

	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"

	"github.com/meshc/meshc/dataplane/message"
)

// quota adds the x-ratelimit fields (draft-polli-ratelimit-headers-03): of the
// limit that is nearest to its end, with all limits and their windows.
func quota(list []*rlsv3.RateLimitResponse_DescriptorStatus, add []message.Field) []message.Field {
	var nearest *rlsv3.RateLimitResponse_DescriptorStatus
	var all strings.Builder
	for _, st := range list {
		limit := st.GetCurrentLimit()
		if limit == nil {
			continue
		}
		if nearest == nil || st.GetLimitRemaining() < nearest.GetLimitRemaining() {
			nearest = st
		}
		if window := windows[limit.GetUnit()]; window > 0 {
			fmt.Fprintf(&all, ", %d;w=%d", limit.GetRequestsPerUnit(), window)
			if name := limit.GetName(); name != "" && plain(name) {
				fmt.Fprintf(&all, `;name="%s"`, name)
			}
		}
	}
	if nearest == nil {
		return add
	}
	return append(add,
		message.Field{Name: "x-ratelimit-limit", Value: strconv.FormatUint(uint64(nearest.GetCurrentLimit().GetRequestsPerUnit()), 10) + all.String()},
		message.Field{Name: "x-ratelimit-remaining", Value: strconv.FormatUint(uint64(nearest.GetLimitRemaining()), 10)},
		message.Field{Name: "x-ratelimit-reset", Value: strconv.FormatInt(nearest.GetDurationUntilReset().GetSeconds(), 10)},
	)
}

// plain: a name that a quoted text of a header can hold.
func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; !message.ValueByte(c) || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// windows are the lengths of units, in seconds, as Envoy counts them.
var windows = map[rlsv3.RateLimitResponse_RateLimit_Unit]int{
	rlsv3.RateLimitResponse_RateLimit_SECOND: 1,
	rlsv3.RateLimitResponse_RateLimit_MINUTE: 60,
	rlsv3.RateLimitResponse_RateLimit_HOUR:   3600,
	rlsv3.RateLimitResponse_RateLimit_DAY:    24 * 3600,
	rlsv3.RateLimitResponse_RateLimit_WEEK:   7 * 24 * 3600,
	rlsv3.RateLimitResponse_RateLimit_MONTH:  30 * 24 * 3600,
	rlsv3.RateLimitResponse_RateLimit_YEAR:   365 * 24 * 3600,
}
