package alarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/warrant/pgstore"
)

// ErrConfig says that a required field is missing or malformed.
var ErrConfig = errors.New("alarm: config: want Store and Log; a webhook wants Store, https (http on loopback only) and a key of 32 octets")

// Config is what a Watcher needs.
type Config struct {
	Store    store        // required
	Log      *slog.Logger // required; never sees what an alarm is about
	Settings pgstore.WatchSettings
	Every    time.Duration         // between looks; default 1 min
	Told     bool                  // a Hook tells the notices; otherwise they are dropped
	LIReg    prometheus.Registerer // open alarms by kind; nil = none
}

// store is the part of the warrant store that alarms need.
type store interface {
	WatchAlarms(ctx context.Context, now time.Time, settings pgstore.WatchSettings) error
	OpenAlarms(ctx context.Context) (map[string]int, error)
	DropAlarmNotices(ctx context.Context, before time.Time) error
}

const (
	defaultEvery = time.Minute
	storeTimeout = 10 * time.Second
)

// Watcher raises and closes what follows from the tables.
type Watcher struct {
	cfg  Config
	open *prometheus.GaugeVec
}

// New makes a Watcher.
func New(cfg Config) (*Watcher, error) {
	if cfg.Store == nil || cfg.Log == nil {
		return nil, ErrConfig
	}
	if cfg.Every == 0 {
		cfg.Every = defaultEvery
	}
	w := &Watcher{cfg: cfg, open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ligate_alarms_open", Help: "Alarms that are not closed, by kind.",
	}, []string{"kind"})}
	if cfg.LIReg != nil {
		if err := cfg.LIReg.Register(w.open); err != nil {
			return nil, fmt.Errorf("alarm: register metrics: %w", err)
		}
	}
	return w, nil
}

// Run looks until ctx ends, which is no error.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(w.cfg.Every)
	defer tick.Stop()
	for {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.cfg.Log.WarnContext(ctx, "alarms were not looked at; trying again", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (w *Watcher) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	now := time.Now()
	if err := w.cfg.Store.WatchAlarms(ctx, now, w.cfg.Settings); err != nil {
		return err
	}
	if !w.cfg.Told {
		if err := w.cfg.Store.DropAlarmNotices(ctx, now); err != nil {
			return err
		}
	}
	counts, err := w.cfg.Store.OpenAlarms(ctx)
	if err != nil {
		return err
	}
	w.open.Reset()
	for kind, n := range counts {
		w.open.WithLabelValues(kind).Set(float64(n))
	}
	return nil
}
