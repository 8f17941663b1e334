package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/internal/logging"
)

func TestOnlyAllowedKeysPass(t *testing.T) {
	t.Parallel()
	const secret = "+4930123456"
	tests := map[string]struct {
		log  func(*slog.Logger)
		want map[string]any
	}{
		"allowed": {
			func(l *slog.Logger) { l.Info("m", slog.String("component", "relay"), slog.Int("count", 2)) },
			map[string]any{"msg": "m", "component": "relay", "count": 2.0},
		},
		"unknown key": {
			func(l *slog.Logger) { l.Info("m", slog.String("target", secret)) },
			map[string]any{"msg": "m", "withheld": 1.0},
		},
		"unknown key in With": {
			func(l *slog.Logger) { l.With(slog.String("call_id", secret)).Info("m") },
			map[string]any{"msg": "m"},
		},
		"group": {
			func(l *slog.Logger) { l.Info("m", slog.Group("peer", slog.String("to", secret))) },
			map[string]any{"msg": "m", "withheld": 1.0},
		},
		"attributes under WithGroup": {
			func(l *slog.Logger) { l.WithGroup("sip").Info("m", slog.String("from", secret)) },
			map[string]any{"msg": "m", "withheld": 1.0},
		},
		"library": {
			func(l *slog.Logger) {
				logging.Foreign(l, "sipgo").With(slog.String("err", secret)).Error("bad "+secret, slog.Any("err", errors.New(secret)))
			},
			map[string]any{"msg": "library message withheld", "library": "sipgo"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			tt.log(logging.New(&out, slog.LevelInfo))
			if bytes.Contains(out.Bytes(), []byte(secret)) {
				t.Fatal("the secret reached the log")
			}
			got := map[string]any{}
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			delete(got, "time")
			delete(got, "level")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
