package correlate

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/mediation/evidence/segment"
)

// metrics are LI figures: they tell that taps are there.
type metrics struct {
	pdus       map[segment.Kind]prometheus.Counter // maps are read only
	segments   map[segment.Kind]prometheus.Counter
	gaps       map[segment.Kind]prometheus.Counter
	missing    map[segment.Kind]prometheus.Counter
	lag        map[segment.Kind]prometheus.Observer
	refused    map[cause]prometheus.Counter
	replayed   prometheus.Counter
	duplicates prometheus.Counter
	retries    prometheus.Counter
	conflicts  prometheus.Counter
	ackErrors  prometheus.Counter
	open       prometheus.Gauge
	held       prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "ligate_correlate_" + name, Help: help})
		all = append(all, c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "ligate_correlate_" + name, Help: help})
		all = append(all, g)
		return g
	}
	kinds := func(name, help string) map[segment.Kind]prometheus.Counter {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ligate_correlate_" + name, Help: help}, []string{"kind"})
		all = append(all, v)
		return map[segment.Kind]prometheus.Counter{segment.KindIRI: v.WithLabelValues("iri"), segment.KindCC: v.WithLabelValues("cc")}
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ligate_correlate_refused_pdus_total", Help: "PDUs that no warrant allows.",
	}, []string{"cause"})
	lag := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "ligate_correlate_delivery_lag_seconds", Help: "From the tap of a segment's first record to its commit.",
		Buckets: []float64{.25, .5, 1, 2, 4, 5, 6, 8, 15, 30, 60, 300, 3600},
	}, []string{"kind"})
	all = append(all, refused, lag)
	m := &metrics{
		pdus:       kinds("pdus_total", "PDUs that were held against their warrant."),
		segments:   kinds("segments_total", "Segments stored."),
		gaps:       kinds("gaps_total", "Places where PDUs are missing."),
		missing:    kinds("missing_pdus_total", "PDUs known to be lost before mediation."),
		lag:        map[segment.Kind]prometheus.Observer{segment.KindIRI: lag.WithLabelValues("iri"), segment.KindCC: lag.WithLabelValues("cc")},
		refused:    map[cause]prometheus.Counter{},
		replayed:   counter("replayed_pdus_total", "PDUs that came again and were stored already."),
		duplicates: counter("duplicate_pdus_total", "PDUs that the gateway published twice."),
		retries:    counter("retries_total", "Attempts that failed and were made again."),
		conflicts:  counter("conflicts_total", "Commits that found their session moved."),
		ackErrors:  counter("ack_errors_total", "Acknowledgements that the bus did not take."),
		open:       gauge("sessions_in_memory", "Sessions in memory."),
		held:       gauge("held_bytes", "Octets of bus messages in memory, roughly."),
	}
	for _, why := range causes() {
		m.refused[why] = refused.WithLabelValues(string(why))
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("correlate: register metrics: %w", err)
		}
	}
	return m, nil
}
