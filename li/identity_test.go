package li_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/li"
)

func identity(t *testing.T, s string) li.Identity {
	t.Helper()
	id, err := germany().ParseTarget(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// No verb of fmt, no encoder and no logger shows an identity, however deep it lies.
func TestIdentityNeverPrints(t *testing.T) {
	t.Parallel()
	secrets := []string{"4930123456", "alice", "example.com", "Alice"}
	number, uri := identity(t, "+4930123456"), identity(t, "sip:alice@example.com")
	task := li.ContentTask{IRITask: li.IRITask{XID: li.NewXID(), Targets: []li.Identity{number, uri}, Until: time.Now()}}
	holders := map[string]any{
		"value":             uri,
		"pointer":           &number,
		"slice":             []li.Identity{number, uri},
		"map key":           map[li.Identity]int{number: 1, uri: 2},
		"map value":         map[string]li.Identity{"a": number, "b": uri},
		"exported field":    struct{ Who li.Identity }{uri},
		"unexported field":  struct{ who li.Identity }{uri},
		"pointer to holder": &struct{ who *li.Identity }{&uri},
		"embedded":          struct{ li.Identity }{number},
		"task":              task,
		"interface":         struct{ task li.Task }{task},
		"error":             fmt.Errorf("%v %w", uri, errors.New("x")),
	}
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T", "%20v", "%-5s", "%U", "%e"}
	for name, holder := range holders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			for _, verb := range verbs {
				fmt.Fprintf(&out, verb+"\n", holder)
			}
			fmt.Fprintln(&out, holder)
			if b, err := json.Marshal(holder); err == nil {
				out.Write(b)
			}
			if b, err := xml.Marshal(holder); err == nil {
				out.Write(b)
			}
			for _, secret := range secrets {
				for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
					if strings.Contains(out.String(), form) {
						t.Errorf("shows an identity: %s", out.String())
					}
				}
			}
		})
	}
}

func TestIdentityLogsAsRedacted(t *testing.T) {
	t.Parallel()
	id := identity(t, "+4930123456")
	var out bytes.Buffer
	handlers := []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)}
	for _, h := range handlers {
		slog.New(h).Info("m", slog.Any("target", id), slog.Any("all", []li.Identity{id}), slog.Any("in", struct{ ID li.Identity }{id}))
	}
	if strings.Contains(out.String(), "30123456") {
		t.Errorf("the log shows the identity: %s", out.String())
	}
	if !strings.Contains(out.String(), "target=[identity]") || !strings.Contains(out.String(), `"target":"[identity]"`) {
		t.Errorf("want [identity] in: %s", out.String())
	}
}

func TestIdentityCompares(t *testing.T) {
	t.Parallel()
	if identity(t, "030 123456") != identity(t, "tel:+49-30-123456") {
		t.Error("two spellings of one number differ")
	}
	if identity(t, "+4930123456") == identity(t, "sip:+4930123456@h") {
		t.Error("a number equals a SIP URI")
	}
	var zero li.Identity
	if !zero.IsZero() || zero.Reveal() != "" || zero.Kind() != 0 || zero.Kind().String() != "invalid" || zero.String() != "[identity]" {
		t.Error("the zero Identity is somebody")
	}
	if k := identity(t, "sip:a@h").Kind(); k != li.SIPURI || k.String() != "sip_uri" || li.E164.String() != "e164" {
		t.Errorf("kind %v", k)
	}
}
