package witness

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
)

// source is the log whose checkpoints are witnessed.
type source interface {
	Checkpoint(ctx context.Context) ([]byte, error)
	ConsistencyProof(ctx context.Context, older, newer int64) ([]tlog.Hash, error)
	// Cosigned is the largest size that the witness cosigned; 0 = none.
	Cosigned(ctx context.Context, witness string) (int64, error)
	KeepCosignature(ctx context.Context, c audit.Cosignature) error
}

// alarms opens and closes alarms; doing so again changes nothing.
type alarms interface {
	OpenAlarm(ctx context.Context, kind, object string) error
	CloseAlarm(ctx context.Context, kind, object string) error
}

// The alarms of a Pusher.
const (
	AlarmUnwitnessed = "audit_checkpoint_not_witnessed" // no witness cosigned for too long
	AlarmFork        = "audit_log_forked"               // a witness knows another history; it never closes by itself
)

const alarmObject = "audit log"

// PusherConfig is what a Pusher needs; fields without a default are required.
type PusherConfig struct {
	Source    source
	Verifier  note.Verifier // of the log's own key
	Witnesses []Remote      // none: checkpoints are only made
	Alarms    alarms
	Log       *slog.Logger
	Every     time.Duration // between checkpoints; default 1m
	Patience  time.Duration // without any cosignature before the alarm; default 5m
}

// Defaults of a PusherConfig.
const (
	DefaultEvery    = time.Minute
	DefaultPatience = 5 * time.Minute
)

// pushTimeout bounds one round: making a checkpoint and asking every witness.
const pushTimeout = 30 * time.Second

// Pusher makes checkpoints and has them cosigned.
type Pusher struct {
	cfg  PusherConfig
	last time.Time // when the newest checkpoint was last known to be cosigned; owned by Run
}

// NewPusher validates the configuration.
func NewPusher(cfg PusherConfig) (*Pusher, error) {
	if cfg.Source == nil || cfg.Verifier == nil || cfg.Alarms == nil || cfg.Log == nil {
		return nil, errors.New("witness: Source, Verifier, Alarms and Log are required")
	}
	if cfg.Every == 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.Patience == 0 {
		cfg.Patience = DefaultPatience
	}
	return &Pusher{cfg: cfg}, nil
}

// Run makes a checkpoint each Every and pushes it until ctx ends, which is no error.
// What fails is tried again at the next one.
func (p *Pusher) Run(ctx context.Context) error {
	p.last = time.Now()
	tick := time.NewTicker(p.cfg.Every)
	defer tick.Stop()
	for {
		if err := p.round(ctx); err != nil && ctx.Err() == nil {
			p.cfg.Log.WarnContext(ctx, "checkpoint not made or not witnessed; trying again", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (p *Pusher) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	checkpoint, err := p.cfg.Source.Checkpoint(ctx)
	if err != nil {
		return err
	}
	size, _, err := audit.OpenCheckpoint(checkpoint, p.cfg.Verifier)
	if err != nil || len(p.cfg.Witnesses) == 0 || size == 0 {
		return err
	}
	got, failed := p.ask(ctx, size, checkpoint)
	if errors.Is(failed, ErrFork) {
		failed = errors.Join(failed, p.cfg.Alarms.OpenAlarm(ctx, AlarmFork, alarmObject))
	}
	switch now := time.Now(); {
	case got:
		p.last = now
		return errors.Join(failed, p.cfg.Alarms.CloseAlarm(ctx, AlarmUnwitnessed, alarmObject))
	case now.Sub(p.last) >= p.cfg.Patience:
		return errors.Join(failed, p.cfg.Alarms.OpenAlarm(ctx, AlarmUnwitnessed, alarmObject))
	}
	return failed
}

// ask has all witnesses cosign at once; one that hangs holds up no other. got says
// that at least one has cosigned this size, now or before.
func (p *Pusher) ask(ctx context.Context, size int64, checkpoint []byte) (got bool, failed error) {
	results := make(chan error, len(p.cfg.Witnesses))
	for _, w := range p.cfg.Witnesses {
		go func() { results <- p.push(ctx, w, size, checkpoint) }()
	}
	for range p.cfg.Witnesses {
		if err := <-results; err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		got = true
	}
	return got, failed
}

func (p *Pusher) push(ctx context.Context, w Remote, size int64, checkpoint []byte) error {
	old, err := p.cfg.Source.Cosigned(ctx, w.Verifier.Name())
	if err != nil || old == size {
		return err
	}
	line, err := p.offer(ctx, w, old, size, checkpoint)
	var known *ConflictError
	if errors.As(err, &known) {
		if known.Size > size {
			return p.ahead(ctx, known.Size)
		}
		// Another process of ours pushed, or we died before the answer was kept.
		line, err = p.offer(ctx, w, known.Size, size, checkpoint)
	}
	if errors.As(err, &known) && known.Size == size {
		return ErrFork // it signed another tree of this size
	}
	var refused *StatusError
	if errors.As(err, &refused) && refused.Status == http.StatusUnprocessableEntity {
		return ErrFork
	}
	if err != nil {
		return err
	}
	return p.cfg.Source.KeepCosignature(ctx, audit.Cosignature{Size: size, Witness: w.Verifier.Name(), Line: line})
}

// ahead tells a witness that another process of ours pushed to meanwhile from one that
// signed what our log does not have any more.
func (p *Pusher) ahead(ctx context.Context, known int64) error {
	checkpoint, err := p.cfg.Source.Checkpoint(ctx)
	if err != nil {
		return err
	}
	size, _, err := audit.OpenCheckpoint(checkpoint, p.cfg.Verifier)
	if err != nil {
		return err
	}
	if size < known {
		return ErrFork
	}
	return errBehind
}

func (p *Pusher) offer(ctx context.Context, w Remote, old, size int64, checkpoint []byte) ([]byte, error) {
	var proof []tlog.Hash
	if old > 0 {
		var err error
		if proof, err = p.cfg.Source.ConsistencyProof(ctx, old, size); err != nil {
			return nil, err
		}
	}
	return w.AddCheckpoint(ctx, old, proof, checkpoint)
}
