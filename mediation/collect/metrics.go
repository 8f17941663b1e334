package collect

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/li/x2x3"
)

// kindOf and refusedBy name a figure.
type (
	kindOf struct {
		element string
		kind    x2x3.Type
	}
	refusedBy struct {
		element string
		why     refusal
	}
)

// metrics are LI figures: they tell that taps are there. Its maps are read only.
type metrics struct {
	pdus       map[kindOf]prometheus.Counter
	refused    map[refusedBy]prometheus.Counter
	late       map[string]prometheus.Counter // by element, as are the next three
	again      map[string]prometheus.Counter
	keepalives map[string]prometheus.Counter
	open       map[string]prometheus.Gauge
	ends       map[end]prometheus.Counter
	retries    map[string]prometheus.Counter // by step
}

func newMetrics(reg prometheus.Registerer, elements []Element) (*metrics, error) {
	var all []prometheus.Collector
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ligate_collect_" + name, Help: help}, labels)
		all = append(all, v)
		return v
	}
	pdus := counter("pdus_total", "PDUs of network elements that the bus has stored.", "element", "kind")
	refusedPDUs := counter("refused_pdus_total", "PDUs of network elements that were not taken.", "element", "reason")
	late := counter("late_pdus_total", "PDUs that are older than the allowed skew: kept by the element, or its clock is slow.", "element")
	again := counter("resent_pdus_total", "PDUs that came again and were stored already.", "element")
	keepalives := counter("keepalives_total", "Keep-alives answered.", "element")
	ended := counter("connections_ended_total", "Connections that are over.", "reason")
	retries := counter("retries_total", "Attempts that failed and were made again.", "step")
	open := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ligate_collect_connections", Help: "Connections of network elements."}, []string{"element"})
	all = append(all, open)
	m := &metrics{
		pdus: map[kindOf]prometheus.Counter{}, refused: map[refusedBy]prometheus.Counter{}, late: map[string]prometheus.Counter{},
		again: map[string]prometheus.Counter{}, keepalives: map[string]prometheus.Counter{}, open: map[string]prometheus.Gauge{}, ends: map[end]prometheus.Counter{}, retries: map[string]prometheus.Counter{},
	}
	for _, e := range elements {
		m.pdus[kindOf{e.ID, x2x3.X2}] = pdus.WithLabelValues(e.ID, "x2")
		m.pdus[kindOf{e.ID, x2x3.X3}] = pdus.WithLabelValues(e.ID, "x3")
		m.late[e.ID], m.keepalives[e.ID], m.open[e.ID] = late.WithLabelValues(e.ID), keepalives.WithLabelValues(e.ID), open.WithLabelValues(e.ID)
		m.again[e.ID] = again.WithLabelValues(e.ID)
		for _, why := range reasons() {
			m.refused[refusedBy{e.ID, why}] = refusedPDUs.WithLabelValues(e.ID, string(why))
		}
	}
	for _, why := range ends() {
		m.ends[why] = ended.WithLabelValues(string(why))
	}
	for _, step := range []string{stepPublish, stepTask} {
		m.retries[step] = retries.WithLabelValues(step)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("collect: register metrics: %w", err)
		}
	}
	return m, nil
}
