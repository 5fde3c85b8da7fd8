package lower

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// traffic fills the defaults of the blocks that are written; nil stays nil.
// host is the one that health checks ask for, ports are those they may name.
func traffic(t *intent.Traffic, host string, ports []*intent.Port) *model.Traffic {
	if t == nil {
		return nil
	}
	out := &model.Traffic{
		ConnectTimeout: durationOr(t.ConnectTimeout, model.DefaultConnectTimeout),
		Connections:    mapped(t.Connections, connections),
		RetryBudget:    mapped(t.RetryBudget, retryBudget),
		Outliers:       mapped(t.Outliers, outliers),
		Balance:        mapped(t.Balance, balance),
		Locality:       mapped(t.Locality, locality),
	}
	if t.ConnectTimeout != nil {
		out.ConnectTimeoutOrigin = t.ConnectTimeout.At
	}
	if t.Health != nil {
		out.Health = health(t.Health, host, ports)
	}
	return out
}

// mapped converts a block that is written.
func mapped[A, B any](a *A, convert func(*A) *B) *B {
	if a == nil {
		return nil
	}
	return convert(a)
}

func connections(c *intent.Connections) *model.Connections {
	clients := numberOr(c.Clients, 1)
	share := func(v *intent.Value[int], def uint32) uint32 { // a default is each proxy's own
		if v == nil {
			return def
		}
		return uint32(v.V) / clients
	}
	return &model.Connections{
		Max:                   share(c.Max, model.DefaultMaxConnections),
		MaxPending:            share(c.MaxPending, model.DefaultMaxPending),
		MaxRequests:           share(c.MaxRequests, model.DefaultMaxRequests),
		MaxRetries:            share(c.MaxRetries, model.DefaultMaxRetries),
		Clients:               clients,
		RequestsPerConnection: numberOr(c.RequestsPerConnection, 0),
		ConcurrentStreams:     numberOr(c.ConcurrentStreams, 0),
		Idle:                  durationOr(c.Idle, model.DefaultUpstreamIdle),
		MaxAge:                durationOr(c.MaxAge, 0),
		Keepalive:             mapped(c.Keepalive, keepalive),
		Pings:                 mapped(c.Pings, pings),
		Origin:                c.At,
	}
}

func keepalive(k *intent.Keepalive) *model.Keepalive {
	return &model.Keepalive{
		Time: durationOr(k.Time, 0), Interval: durationOr(k.Interval, 0), Probes: numberOr(k.Probes, 0), Origin: k.At,
	}
}

func pings(p *intent.Pings) *model.Pings {
	return &model.Pings{Interval: duration(p.Interval), Timeout: duration(p.Timeout), Origin: p.At}
}

func retryBudget(b *intent.RetryBudget) *model.RetryBudget {
	return &model.RetryBudget{
		BasisPoints: percent(b.Percent), MinConcurrency: numberOr(b.MinConcurrency, model.DefaultBudgetConcurrency), Origin: b.At,
	}
}

func outliers(o *intent.Outliers) *model.Outliers {
	ejection := durationOr(o.Ejection, model.DefaultEjection)
	return &model.Outliers{
		Statuses:           statusRanges(o.Statuses),
		Consecutive5xx:     numberOr(o.Consecutive5xx, 0),
		ConsecutiveGateway: numberOr(o.ConsecutiveGateway, 0),
		ConsecutiveLocal:   numberOr(o.ConsecutiveLocal, 0),
		SuccessRate:        mapped(o.SuccessRate, successRate),
		FailurePercent:     mapped(o.FailurePercent, failurePercent),
		Interval:           durationOr(o.Interval, model.DefaultOutlierInterval),
		Ejection:           ejection,
		MaxEjection:        durationOr(o.MaxEjection, max(ejection, model.DefaultMaxEjection)),
		MaxPercent:         numberOr(o.MaxPercent, model.DefaultMaxEjectionPercent),
		AtLeastOne:         o.MaxPercent == nil,
		Origin:             o.At,
	}
}

func successRate(s *intent.SuccessRate) *model.SuccessRate {
	return &model.SuccessRate{
		MinHosts:        numberOr(s.MinHosts, model.DefaultJudgedHosts),
		MinRequests:     numberOr(s.MinRequests, model.DefaultSuccessRequests),
		StdevHundredths: percentOr(s.Stdev, model.DefaultStdevHundredths),
		Origin:          s.At,
	}
}

func failurePercent(f *intent.FailurePercent) *model.FailurePercent {
	return &model.FailurePercent{
		Threshold:   uint32(f.Threshold.V),
		MinHosts:    numberOr(f.MinHosts, model.DefaultJudgedHosts),
		MinRequests: numberOr(f.MinRequests, model.DefaultFailureRequests),
		Origin:      f.At,
	}
}

func health(h *intent.Health, host string, ports []*intent.Port) *model.Health {
	out := &model.Health{
		Interval:       duration(h.Interval),
		Timeout:        duration(h.Timeout),
		HealthyAfter:   numberOr(h.HealthyAfter, model.DefaultHealthyAfter),
		UnhealthyAfter: numberOr(h.UnhealthyAfter, model.DefaultUnhealthyAfter),
		Origin:         h.At,
	}
	if h.HTTP != nil {
		out.HTTP = &model.HealthHTTP{
			Path: h.HTTP.Path.V, Host: strings.ToLower(scope.Or(h.HTTP.Host, host)), Statuses: statuses(h.HTTP.Statuses),
		}
	}
	if h.TCP != nil {
		out.TCP = &model.HealthTCP{Send: scope.Or(h.TCP.Send, ""), Receive: texts(h.TCP.Receive)}
	}
	if h.GRPC != nil {
		out.GRPC = &model.HealthGRPC{Service: scope.Or(h.GRPC.Service, ""), Authority: strings.ToLower(host)}
	}
	if h.Port != nil {
		p := scope.Port(ports, h.Port.V)
		if p == nil {
			panic("lower: intent was not checked: a health check names an unknown port")
		}
		out.Port = uint16(p.Number.V)
	}
	return out
}

func statusRanges(list []intent.Value[string]) []model.StatusRange {
	var out []model.StatusRange
	for _, v := range list {
		r, ok := model.StatusRangeOf(v.V)
		if !ok {
			panic("lower: intent was not checked: " + v.V + " is no status")
		}
		out = append(out, r)
	}
	return model.JoinedStatuses(out)
}

func statuses(list []intent.Value[int]) []uint32 {
	var out []uint32
	for _, v := range list {
		out = append(out, uint32(v.V))
	}
	if len(out) == 0 {
		out = []uint32{model.DefaultHealthStatus}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func balance(b *intent.Balance) *model.Balance {
	out := &model.Balance{
		Policy:           model.BalancePolicy(scope.Or(b.Policy, string(model.RoundRobin))),
		SlowStart:        mapped(b.SlowStart, slowStart),
		PanicBasisPoints: percentOr(b.PanicPercent, model.DefaultPanicBasisPoints),
		Origin:           b.At,
	}
	switch out.Policy {
	case model.LeastRequest:
		out.Choices = numberOr(b.Choices, model.DefaultChoices)
	case model.Maglev:
		out.Table = numberOr(b.Table, model.DefaultMaglevTable)
	case model.RingHash:
		out.RingMin, out.RingMax = ring(b.Ring)
	}
	return out
}

func ring(r *intent.Ring) (least, most uint32) {
	if r == nil {
		return model.DefaultRingMin, model.DefaultRingMax
	}
	most = numberOr(r.Max, model.DefaultRingMax)
	return numberOr(r.Min, min(most, model.DefaultRingMin)), most
}

// hashKeys keeps the order of the source: Envoy combines them in it.
func hashKeys(keys []*intent.HashKey) []model.HashKey {
	var out []model.HashKey
	for _, k := range keys {
		key := model.HashKey{From: model.HashSourceIP, Terminal: scope.Or(k.Terminal, false), Origin: k.At}
		switch {
		case k.Header != nil:
			key.From, key.Name = model.HashHeader, strings.ToLower(k.Header.V)
		case k.Cookie != nil:
			key.From, key.Name = model.HashCookie, k.Cookie.V
		case k.Query != nil:
			key.From, key.Name = model.HashQuery, k.Query.V
		}
		out = append(out, key)
	}
	return out
}

func slowStart(s *intent.SlowStart) *model.SlowStart {
	return &model.SlowStart{
		Window:               duration(s.Window),
		MinBasisPoints:       percentOr(s.MinPercent, model.DefaultSlowStartPoints),
		AggressionHundredths: percentOr(s.Aggression, model.DefaultAggression),
		Origin:               s.At,
	}
}

// numberOr gives a written number, which the schema has bounded, or def.
func numberOr(v *intent.Value[int], def uint32) uint32 {
	if v == nil {
		return def
	}
	return uint32(v.V)
}

// percentOr gives a written decimal in hundredths, or def.
func percentOr(v *intent.Value[string], def uint32) uint32 {
	if v == nil {
		return def
	}
	return percent(*v)
}
