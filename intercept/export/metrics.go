package export

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/li/x2x3"
)

// Why a PDU is not sent.
const (
	withheldMalformed = "malformed"
	withheldEvent     = "event" // says what only a ligate understands
)

type ending struct {
	kind x2x3.Type
	why  reason
}

// metrics are LI figures but for up. Its maps are read only.
type metrics struct {
	up          map[x2x3.Type]prometheus.Gauge // depends on connections only
	ends        map[ending]prometheus.Counter
	sent        map[x2x3.Type]prometheus.Counter
	resent      map[x2x3.Type]prometheus.Counter
	confirmed   map[x2x3.Type]prometheus.Counter
	unconfirmed map[x2x3.Type]prometheus.Gauge
	withheld    map[string]prometheus.Counter
	ackErrors   prometheus.Counter
}

func newMetrics(ops, li prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ligate_export_" + name, Help: help}, labels)
		all = append(all, v)
		return v
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ligate_export_" + name, Help: help}, []string{"kind"})
	}
	up := gauge("up", "Whether the MDF answers on its connection.")
	unconfirmed := gauge("unconfirmed_bytes", "Octets on their way to the MDF.")
	all = append(all, unconfirmed)
	ends := counter("connections_ended_total", "Connections, and attempts at one, that are over.", "kind", "reason")
	sent := counter("sent_pdus_total", "PDUs sent, those sent again included.", "kind")
	resent := counter("resent_pdus_total", "PDUs sent again on a new connection.", "kind")
	confirmed := counter("confirmed_pdus_total", "PDUs that the MDF confirmed.", "kind")
	withheld := counter("withheld_pdus_total", "PDUs that are not for the MDF, or cannot be read.", "reason")
	ackErrors := counter("ack_errors_total", "Acknowledgements that the bus did not take.")
	m := &metrics{
		up: map[x2x3.Type]prometheus.Gauge{}, ends: map[ending]prometheus.Counter{}, sent: map[x2x3.Type]prometheus.Counter{},
		resent: map[x2x3.Type]prometheus.Counter{}, confirmed: map[x2x3.Type]prometheus.Counter{}, unconfirmed: map[x2x3.Type]prometheus.Gauge{},
		withheld: map[string]prometheus.Counter{}, ackErrors: ackErrors.WithLabelValues(),
	}
	for _, kind := range []x2x3.Type{x2x3.X2, x2x3.X3} {
		m.up[kind], m.unconfirmed[kind] = up.WithLabelValues(name(kind)), unconfirmed.WithLabelValues(name(kind))
		m.sent[kind], m.resent[kind], m.confirmed[kind] = sent.WithLabelValues(name(kind)), resent.WithLabelValues(name(kind)), confirmed.WithLabelValues(name(kind))
		for _, why := range reasons() {
			m.ends[ending{kind, why}] = ends.WithLabelValues(name(kind), string(why))
		}
	}
	for _, why := range []string{withheldMalformed, withheldEvent} {
		m.withheld[why] = withheld.WithLabelValues(why)
	}
	return m, register(ops, li, up, all)
}

func register(ops, li prometheus.Registerer, up prometheus.Collector, rest []prometheus.Collector) error {
	if ops != nil {
		if err := ops.Register(up); err != nil {
			return fmt.Errorf("export: register metrics: %w", err)
		}
	}
	if li == nil {
		return nil
	}
	for _, c := range rest {
		if err := li.Register(c); err != nil {
			return fmt.Errorf("export: register metrics: %w", err)
		}
	}
	return nil
}
