package sipproxy

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// freed is media of which nothing is heard.
type freed struct {
	MediaSession
	closed bool
}

func (f *freed) LastMedia() time.Time { return time.Time{} }
func (f *freed) Close()               { f.closed = true }

// A session timer that both sides agreed on and that nobody refreshes frees the
// media when it is over, and not before (RFC 4028 clauses 4, 8 and 10).
func TestExpiredSessionFreesItsMedia(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header string
		method string
		want   time.Duration
	}{
		"none":                      {"", "INVITE", 2 * time.Hour},
		"half an hour":              {"Session-Expires: 1800;refresher=uac\r\n", "INVITE", 30*time.Minute + 32*time.Second},
		"compact, UPDATE":           {"x:90 ; refresher=uas\r\n", "UPDATE", 90*time.Second + 32*time.Second},
		"less than the standard's":  {"Session-Expires: 89\r\n", "INVITE", 2 * time.Hour},
		"longer than we wait":       {"Session-Expires: 86400\r\n", "INVITE", 2 * time.Hour},
		"in a method that has none": {"Session-Expires: 90\r\n", "INFO", 2 * time.Hour},
		"no number":                 {"Session-Expires: soon\r\n", "INVITE", 2 * time.Hour},
		"two minutes":               {"Session-Expires: 120\r\n", "INVITE", 120*time.Second + 32*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, err := newMetrics(nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				cfg := Config{}
				cfg.setDefaults()
				s := newShard(&Proxy{cfg: cfg, metrics: m})
				s.now = time.Now()
				media := &freed{}
				core, trunk := &peer{Peer: Peer{Role: RoleCore}}, &peer{Peer: Peer{Role: RoleTrunk}}
				c := s.newCall(leg{}, "c1", core, trunk)
				c.session = media
				ok, err := wire.Parse(fmt.Appendf(nil, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\n"+
					"Call-ID: c1\r\nCSeq: 1 %s\r\n%sContent-Length: 0\r\n\r\n", tt.method, tt.header))
				if err != nil {
					t.Fatal(err)
				}
				s.finished(&serverTx{shard: s, call: c}, ok)
				time.Sleep(tt.want - time.Second)
				s.fire(time.Now())
				if media.closed {
					t.Fatal("freed too early")
				}
				time.Sleep(2 * time.Second)
				s.fire(time.Now())
				if !media.closed {
					t.Fatal("not freed")
				}
			})
		})
	}
}
