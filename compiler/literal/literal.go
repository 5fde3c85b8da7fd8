// Package literal reads the scalars that a user writes as text: percentages,
// durations, times, references, retry conditions. check calls it to judge and
// lower to convert, so that both read a literal the same way.
package literal

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// Errors of Percent. Each is a sentence about the literal.
var (
	ErrMissing   = errors.New("is missing")
	ErrNegative  = errors.New("is negative")
	ErrOverWhole = errors.New("is over 100")
	ErrDecimals  = errors.New("has more than two decimals")
	ErrNotNumber = errors.New("is not a decimal number")
)

// Percent reads a percentage as a decimal and gives basis points (hundredths
// of a percent). It never goes through a float: 8.2 is 820, 0.29 is 29.
// Trailing zeros do not count as decimals, and exponents are refused.
func Percent(s string) (uint32, error) {
	if s == "" {
		return 0, ErrMissing
	}
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole+fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return 0, ErrNotNumber
	}
	fraction = strings.TrimRight(fraction, "0")
	whole = strings.TrimLeft(whole, "0")
	switch {
	case whole+fraction == "":
		return 0, nil
	case negative:
		return 0, ErrNegative
	case len(fraction) > 2:
		return 0, ErrDecimals
	case len(whole) > 3:
		return 0, ErrOverWhole
	}
	n, err := strconv.ParseUint(whole+fraction+"00"[len(fraction):], 10, 32)
	if err != nil {
		return 0, ErrNotNumber
	}
	if n > model.BasisPointsWhole {
		return 0, ErrOverWhole
	}
	return uint32(n), nil
}

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// FormatPercent writes basis points as a percentage with the fewest decimals.
func FormatPercent(bp uint32) string { return model.Hundredths(bp) }

// MaxDuration bounds every duration in intent. Envoy computes deadlines in
// signed milliseconds; a year is far inside that and beyond any sane timeout.
const MaxDuration = 365 * 24 * time.Hour

// Duration reads a Go duration ("1.5s", "250ms") of whole milliseconds, from 0
// to MaxDuration. Less than a millisecond is refused because Envoy truncates
// to milliseconds, and a truncated 0 would mean "no limit".
func Duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration such as \"250ms\" or \"1.5s\"", s)
	case d < 0:
		return 0, fmt.Errorf("duration %q is negative", s)
	case d%time.Millisecond != 0:
		return 0, fmt.Errorf("duration %q is not a whole number of milliseconds", s)
	case d > MaxDuration:
		return 0, fmt.Errorf("duration %q is over a year", s)
	}
	return d, nil
}

// Time reads an RFC 3339 time and gives it in UTC.
func Time(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not an RFC 3339 time such as \"2026-12-01T00:00:00Z\"", s)
	}
	return t.UTC(), nil
}

// Ref reads a reference: "name" means namespace, "namespace/name" itself.
// Nothing is searched for (design: names resolve without guessing).
func Ref(s, namespace string) model.Ref {
	if ns, name, ok := strings.Cut(s, "/"); ok {
		return model.Ref{Namespace: ns, Name: name}
	}
	return model.Ref{Namespace: namespace, Name: s}
}

// retryWords are the conditions of Envoy's x-envoy-retry-on that intent takes.
var retryWords = []string{
	"5xx", "connect-failure", "gateway-error", "refused-stream", "reset",
	"reset-before-request", "retriable-4xx",
}

// grpcRetryWords are the conditions of Envoy's x-envoy-retry-grpc-on.
var grpcRetryWords = []string{"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"}

// IsGRPCRetry says whether a retry condition is one of gRPC's.
func IsGRPCRetry(s string) bool { return slices.Contains(grpcRetryWords, s) }

// RetryWords lists the retry conditions that are words, sorted.
func RetryWords() []string {
	all := slices.Concat(retryWords, grpcRetryWords)
	slices.Sort(all)
	return all
}

// RetryOn reads one retry condition: a word, or a status code from 100 to 599.
func RetryOn(s string) (word string, status uint32, err error) {
	if slices.Contains(retryWords, s) || IsGRPCRetry(s) {
		return s, 0, nil
	}
	if n, err := strconv.ParseUint(s, 10, 32); err == nil && n >= 100 && n <= 599 {
		return "", uint32(n), nil
	}
	return "", 0, fmt.Errorf("%q is not a retry condition", s)
}

// Clip shortens foreign text for a message.
func Clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
