package deliver

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// metrics are LI figures: they tell that agencies are served.
type metrics struct {
	pdus, duplicates, withheld, malformed, ackErrors, connections *prometheus.CounterVec
	up, waiting, octets                                           *prometheus.GaugeVec
	lag                                                           *prometheus.HistogramVec
	ends                                                          *prometheus.CounterVec
	full                                                          *prometheus.CounterVec
	files                                                         *prometheus.CounterVec
	retries                                                       prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	each := []string{"agency", "interface"}
	counter := func(name, help string, labels []string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ligate_deliver_" + name, Help: help}, labels)
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ligate_deliver_" + name, Help: help}, each)
	}
	m := &metrics{
		pdus:        counter("pdus_total", "PS-PDUs sent, also those sent again.", each),
		duplicates:  counter("duplicates_total", "PS-PDUs that stood on the spool twice and were sent once.", each),
		withheld:    counter("withheld_total", "PS-PDUs reported and not sent: they stood on the spool in clear when encryption was ordered.", each),
		malformed:   counter("malformed_total", "Messages on the spool that could not be read.", each),
		ackErrors:   counter("ack_errors_total", "Acknowledgements that the spool did not take.", each),
		connections: counter("connections_total", "Connections to the LEMF.", each),
		up:          gauge("up", "Whether there is a connection."),
		waiting:     gauge("backlog_messages", "Messages on the spool that the LEMF did not confirm."),
		octets:      gauge("backlog_bytes", "Their octets."),
		ends:        counter("ends_total", "Connections and attempts that ended, by reason.", []string{"reason"}),
		full:        counter("not_buffered_total", "Records that a full spool refused.", []string{"interface"}),
		files:       counter("files_total", "Sealed capture files written.", []string{"agency"}),
		retries:     prometheus.NewCounter(prometheus.CounterOpts{Name: "ligate_deliver_retries_total", Help: "Attempts that failed and were made again."}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ligate_deliver_lag_seconds", Help: "From the tap to the connection.",
			Buckets: []float64{.005, .01, .02, .03, .04, .05, .075, .1, .25, .5, 1, 5, 30, 300, 3600},
		}, []string{"interface"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.pdus, m.duplicates, m.withheld, m.malformed, m.ackErrors, m.connections, m.up, m.waiting, m.octets, m.ends, m.full, m.files, m.retries, m.lag} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("deliver: register metrics: %w", err)
		}
	}
	return m, nil
}

// linkMetrics are those of one link.
type linkMetrics struct {
	pdus, duplicates, withheld, malformed, ackErrors, connections prometheus.Counter
	up                                                            prometheus.Gauge
	lag                                                           prometheus.Observer
	ends                                                          *prometheus.CounterVec
}

func interfaceOf(kind segment.Kind) string {
	if kind == segment.KindIRI {
		return "hi2"
	}
	return "hi3"
}

func (m *metrics) link(id warrant.AgencyID, kind segment.Kind) *linkMetrics {
	a, i := string(id), interfaceOf(kind)
	return &linkMetrics{
		pdus: m.pdus.WithLabelValues(a, i), duplicates: m.duplicates.WithLabelValues(a, i), withheld: m.withheld.WithLabelValues(a, i), malformed: m.malformed.WithLabelValues(a, i),
		ackErrors: m.ackErrors.WithLabelValues(a, i), connections: m.connections.WithLabelValues(a, i), up: m.up.WithLabelValues(a, i),
		lag: m.lag.WithLabelValues(i), ends: m.ends,
	}
}

func (m *metrics) backlog(id warrant.AgencyID, iface string, messages, octets uint64) {
	m.waiting.WithLabelValues(string(id), iface).Set(float64(messages))
	m.octets.WithLabelValues(string(id), iface).Set(float64(octets))
}

func (m *metrics) refused(iface string, records int) {
	m.full.WithLabelValues(iface).Add(float64(records))
}

// ended counts why a connection or an attempt ended.
func (m *linkMetrics) ended(err error) {
	reason := "other"
	for _, r := range []struct {
		err  error
		name string
	}{
		{errDial, "unreachable"},
		{errTLS, "certificate"},
		{errUnanswered, "unanswered"},
		{errForeign, "malformed"},
		{errFlood, "flood"},
		{errStray, "stray"},
		{errClosed, "closed"},
	} {
		if errors.Is(err, r.err) {
			reason = r.name
			break
		}
	}
	m.ends.WithLabelValues(reason).Inc()
}
