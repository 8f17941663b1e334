package sipproxy

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/li/sipevent"
)

// reject says why the proxy itself refused or dropped a message.
type reject string

const (
	rejectStranger  reject = "unknown_source"
	rejectMalformed reject = "malformed"
	rejectNoRoute   reject = "no_route"
	rejectLoop      reject = "loop"
	rejectHops      reject = "too_many_hops"
	rejectScheme    reject = "uri_scheme"
	rejectExtension reject = "extension"
	rejectOverload  reject = "overload"
	rejectNoMedia   reject = "no_media_ports"
	rejectStray     reject = "stray_response"
	rejectSend      reject = "transport"
	rejectLimit     reject = "peer_limit"
	rejectDrain     reject = "draining"
	rejectStarting  reject = "starting"
)

func rejects() []reject {
	return []reject{
		rejectStranger, rejectMalformed, rejectNoRoute, rejectLoop, rejectHops, rejectScheme, rejectExtension, rejectOverload,
		rejectNoMedia, rejectStray, rejectSend, rejectLimit, rejectDrain, rejectStarting,
	}
}

// metrics are the proxy's figures. Nothing in ops depends on Tasks.
type metrics struct {
	requests     map[string]prometheus.Counter // by method; read only
	responses    [7]prometheus.Counter         // by class 1 to 6
	rejected     map[reject]prometheus.Counter // read only
	transactions prometheus.Gauge
	calls        prometheus.Gauge
	anchored     prometheus.Gauge
	failovers    prometheus.Counter
	unreadable   prometheus.Counter
	lookups      prometheus.Counter
	lapsed       map[string]prometheus.Counter // by cause; read only

	onNet     prometheus.Counter // LI
	untrusted prometheus.Counter // LI
	matched   prometheus.Counter // LI
}

func methods() []string {
	return []string{
		"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY", "SUBSCRIBE",
		"MESSAGE", "PUBLISH", otherMethod,
	}
}

const otherMethod = "OTHER"

func newMetrics(ops, lawful prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "ligate_sipproxy_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "ligate_sipproxy_" + name, Help: help})
	}
	vec := func(name, label, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ligate_sipproxy_" + name, Help: help}, []string{label})
	}
	requests := vec("requests_total", "method", "Requests from peers, retransmissions included.")
	responses := vec("responses_total", "class", "Responses from peers.")
	rejected := vec("rejected_total", "reason", "Messages that the proxy itself refused or dropped.")
	m := &metrics{
		requests: map[string]prometheus.Counter{}, rejected: map[reject]prometheus.Counter{},
		transactions: gauge("transactions", "Server transactions that are kept."),
		calls:        gauge("calls", "INVITE dialogs, early ones included."),
		anchored:     gauge("anchored_calls", "Calls whose media runs through the relay."),
		failovers:    counter("failovers_total", "Requests that were tried at another trunk."),
		unreadable:   counter("unreadable_sdp_total", "Session descriptions that were passed on unread."),
		onNet:        counter("on_net_matches_total", "Calls of a target that stayed on net: nothing was copied."),
		untrusted:    counter("untrusted_matches_total", "Matches by a From that an untrusted peer sent: signalling only."),
		matched:      counter("matched_calls_total", "Calls and registrations that matched a Task."),
		lookups:      counter("failed_lookups_total", "Look-ups of a peer's name that failed."),
	}
	for _, method := range methods() {
		m.requests[method] = requests.WithLabelValues(method)
	}
	for class := 1; class <= 6; class++ {
		m.responses[class] = responses.WithLabelValues(fmt.Sprintf("%dxx", class))
	}
	lapsed := vec("lapsed_calls_total", "cause", "Calls that were ended because nothing came any more.")
	m.lapsed = map[string]prometheus.Counter{
		sipevent.NoMedia: lapsed.WithLabelValues("no_media"), sipevent.Idle: lapsed.WithLabelValues("idle"),
	}
	for _, r := range rejects() {
		m.rejected[r] = rejected.WithLabelValues(string(r))
	}
	if err := register(ops, requests, responses, rejected, m.transactions, m.calls, m.anchored, m.failovers, m.unreadable, m.lookups, lapsed); err != nil {
		return nil, err
	}
	return m, register(lawful, m.onNet, m.untrusted, m.matched)
}

// peerFigures shows how each peer fares, by its configured name.
func (p *Proxy) peerFigures(reg prometheus.Registerer) error {
	for _, peer := range p.peers.all {
		labels := prometheus.Labels{"peer": peer.Name}
		up := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ligate_sipproxy_peer_up", Help: "1 when a place of the peer takes requests.", ConstLabels: labels,
		}, func() float64 { return peer.up() })
		calls := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ligate_sipproxy_peer_calls", Help: "Calls of the peer in progress.", ConstLabels: labels,
		}, func() float64 { return float64(peer.calls.Load()) })
		if err := register(reg, up, calls); err != nil {
			return err
		}
	}
	return nil
}

func (p *peer) up() float64 {
	now := time.Now()
	for _, at := range *p.places.Load() {
		if at.health.usable(now) {
			return 1
		}
	}
	return 0
}

func register(reg prometheus.Registerer, collectors ...prometheus.Collector) error {
	if reg == nil {
		return nil
	}
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("sipproxy: register metrics: %w", err)
		}
	}
	return nil
}

func (m *metrics) request(method string) {
	c, ok := m.requests[method]
	if !ok {
		c = m.requests[otherMethod]
	}
	c.Inc()
}

func (m *metrics) reject(r reject) { m.rejected[r].Inc() }
