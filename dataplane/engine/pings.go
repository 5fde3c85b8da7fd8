package engine

import "github.com/meshc/meshc/dataplane/snapshot"

// pinger asks whether the endpoint of an HTTP/2 connection still answers. Whatever
// comes from it is an answer: a ping may stand behind much else.
type pinger struct {
	m     *umux
	conf  *snapshot.Pings
	timer timer
	asked bool // the answer is waited for
}

// pingJitter is the share of the interval that may be added to it, in percent, as
// Envoy has it: connections that began together do not ping together for ever.
const pingJitter = 15

func (p *pinger) start(m *umux, conf *snapshot.Pings) {
	if conf == nil {
		return
	}
	p.m, p.conf, p.timer.owner = m, conf, p
	p.rest()
}

// rest waits for the time of the next ping.
func (p *pinger) rest() {
	w := p.m.sock.w
	p.asked = false
	interval := int64(p.conf.Interval)
	if more := interval * pingJitter / 100; more > 0 {
		interval += int64(w.draw() % uint64(more))
	}
	w.timers.set(&p.timer, w.now+interval)
}

// answered is called when the answer has come.
func (p *pinger) answered() {
	if p.conf != nil {
		p.rest()
	}
}

func (p *pinger) onTimer() {
	w, timeout := p.m.sock.w, int64(p.conf.Timeout)
	switch {
	case !p.asked:
		p.asked = true
		p.m.conn.Ping()
		p.m.touch()
		w.timers.set(&p.timer, w.now+timeout)
	case p.m.heardAt+timeout > w.now:
		w.timers.set(&p.timer, p.m.heardAt+timeout)
	default:
		p.m.host.pool.stats.keepaliveTimeout.Inc()
		w.e.log.Debug("endpoint answers no ping", "cluster", p.m.host.pool.key.name, "endpoint", p.m.host.text)
		p.m.muxBroken(nil)
	}
}

func (p *pinger) stop(w *worker) { w.timers.drop(&p.timer) }
