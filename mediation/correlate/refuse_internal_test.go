package correlate

import (
	"testing"
	"time"

	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/warrant"
)

// What a warrant was narrowed to holds from when it was narrowed: content that was
// taken before is still the agency's, however long it waited on the bus.
func TestContentUntilItWasTakenAway(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	never := warrant.TaskInfo{From: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}
	narrowed, full := never, never
	narrowed.MediaUntil, full.Media = noon, true
	for name, tt := range map[string]struct {
		info warrant.TaskInfo
		kind x2x3.Type
		at   time.Time
		want cause
	}{
		"never ordered":                  {never, x2x3.X3, noon, notOrdered},
		"ordered":                        {full, x2x3.X3, noon.Add(time.Minute), ""},
		"before it was taken away":       {narrowed, x2x3.X3, noon.Add(-time.Minute), ""},
		"while gateways are told":        {narrowed, x2x3.X3, noon.Add(stopGrace - 1), ""},
		"after it was taken away":        {narrowed, x2x3.X3, noon.Add(stopGrace), notOrdered},
		"signalling, after":              {narrowed, x2x3.X2, noon.Add(time.Minute), ""},
		"before the warrant, of content": {narrowed, x2x3.X3, noon.Add(-2 * time.Hour), outsideDates},
	} {
		if got := allowed(tt.info, &x2x3.PDU{Type: tt.kind, Time: tt.at}); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
