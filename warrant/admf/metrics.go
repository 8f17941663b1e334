package admf

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics holds what operations may see (up, storeErrors) and what only LI staff may.
type metrics struct {
	up          *prometheus.GaugeVec
	storeErrors prometheus.Counter

	tasks    *prometheus.GaugeVec
	rogues   *prometheus.CounterVec
	lost     *prometheus.CounterVec
	refusals *prometheus.CounterVec
	overflow prometheus.Counter
}

func newMetrics(cfg Config) (metrics, error) {
	gateway := []string{"gateway"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, gateway)
	}
	m := metrics{
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ligate_admf_gateway_up", Help: "Whether the gateway answered X1 the last time.",
		}, gateway),
		storeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ligate_admf_store_errors_total", Help: "Times that the warrant store could not be asked.",
		}),
		tasks: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ligate_admf_tasks", Help: "Tasks that the gateway holds as ordered.",
		}, gateway),
		rogues:   counter("ligate_admf_rogue_taps_total", "Taps found on the gateway that no warrant orders or that differ from it."),
		lost:     counter("ligate_admf_lost_tasks_total", "Tasks that the gateway had and lost before their end."),
		refusals: counter("ligate_admf_refused_tasks_total", "Times that the gateway refused a Task."),
		overflow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ligate_admf_alarms_dropped_total", Help: "Alarm changes given up because the store took none for too long.",
		}),
	}
	register := func(reg prometheus.Registerer, cs ...prometheus.Collector) error {
		if reg == nil {
			return nil
		}
		for _, c := range cs {
			if err := reg.Register(c); err != nil {
				return fmt.Errorf("admf: register metrics: %w", err)
			}
		}
		return nil
	}
	if err := register(cfg.OpsReg, m.up, m.storeErrors); err != nil {
		return metrics{}, err
	}
	return m, register(cfg.LIReg, m.tasks, m.rogues, m.lost, m.refusals, m.overflow)
}
