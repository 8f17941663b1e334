package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ligate/ligate/warrant/profile"
)

func allRoles() []role { return []role{roleGateway, roleMediation, roleAdmin} }

func TestExampleConfigIsValid(t *testing.T) {
	t.Parallel()
	cfg, err := parseConfig("example.yaml", []byte(exampleConfig), allRoles())
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Gateway.Peers) != 2 || cfg.Gateway.Peers[0].Numbers[0] != "+4930555" || len(cfg.Admin.Gateways) != 1 {
		t.Errorf("example read as %+v", cfg)
	}
}

// Every fault is named with its key and its line, all at once, and no value is
// quoted.
func TestConfigFaults(t *testing.T) {
	t.Parallel()
	change := func(old, new string) string {
		if !strings.Contains(exampleConfig, old) {
			t.Fatalf("example lacks %q", old)
		}
		return strings.Replace(exampleConfig, old, new, 1)
	}
	lineOf := func(text, part string) int { return 1 + strings.Count(text[:strings.Index(text, part)], "\n") }
	tests := map[string]struct {
		text, at, want string
	}{
		"unknown key":        {change("  country: DE", "  contry: DE"), "contry", "operator.contry: unknown key"},
		"unknown section":    {exampleConfig + "\nwarrants: {}\n", "warrants: {}", "warrants: unknown key"},
		"wrong country":      {change("country: DE", "country: Germany"), "country", "operator.country: want two capitals"},
		"not a number":       {change("max_bytes: 8589934592", "max_bytes: much"), "max_bytes", "bus.max_bytes: want a whole number"},
		"not a duration":     {change("segment_every: 4s", "segment_every: 4"), "segment_every", "mediation.segment_every: want a duration"},
		"slow reconcile":     {change("reconcile_every: 10s", "reconcile_every: 1h"), "reconcile_every", "want up to 1m"},
		"pages by address":   {change(`origin: "" `, `origin: "https://127.0.0.1:8440" `), "origin:", "admin.sign_in.origin: want https://HOST"},
		"pages in clear":     {change(`origin: "" `, `origin: "http://li.example.net" `), "origin:", "admin.sign_in.origin: want https://HOST"},
		"provider, no pages": {change(`issuer: "" `, `issuer: "https://id.example.net" `), "origin:", "admin.sign_in.origin: required with oidc"},
		"endless session":    {change("absolute: 8h", "absolute: 48h"), "absolute:", "admin.sign_in.absolute: want up to 24h"},
		"no profile":         {change(`profile: "" `, `profile: "at" `), "profile:", "admin.profile: want de, nl, uk or us"},
		"buffer-only":        {change(`profile: "" `, `profile: "de" `), "keeps_sealed_copy:", "admin.keeps_sealed_copy: want true, once your regulator agreed"},
		"idle too long":      {change("idle: 15m", "idle: 9h"), "idle:", "admin.sign_in.idle: want at least 1m"},
		"bad peer role":      {change("role: trunk", "role: carrier"), "role: carrier", "gateway.peers[1].role: want core or trunk"},
		"peer without port":  {change("addr: 127.0.0.3:5060", "addr: 127.0.0.3"), "addr: 127.0.0.3", "gateway.peers[1].addr: required"},
		"trunk with numbers": {change("addr: 127.0.0.3:5060", "addr: 127.0.0.3:5060\n      numbers: [\"+49\"]"), "numbers: [\"+49\"]", "only a core owns numbers"},
		"list expected":      {change(`numbers: ["+4930555"]`, "numbers: 12"), "numbers: 12", "want a list"},
		"tab":                {change("  country: DE", "\tcountry: DE"), "\tcountry", "not YAML"},
		"key without file":   {change("delivery_keys: {}", "delivery_keys: {police: [a]}"), "delivery_keys: {police", "mediation.delivery_keys.police: want a single value"},
		"keys in a list":     {change("delivery_keys: {}", "delivery_keys: [a]"), "delivery_keys: [a]", "mediation.delivery_keys: want a mapping"},
		"hasty removal":      {change("drop_keep: 0s", "drop_keep: 1m"), "drop_keep", "mediation.drop_keep: want 0s"},
		"plain cluster":      {change("urls: [] ", `urls: ["nats://192.0.2.1:4222"] `), "urls: [", "bus.cluster.urls[0]: want ca, certificate and key"},
		"cluster by http":    {change("urls: [] ", `urls: ["http://127.0.0.1:4222"] `), "urls: [", "bus.cluster.urls[0]: want tls://host:port"},
		"half a TLS cluster": {change(`ca: ""                       #`, `ca: "ca.pem" #`), "cluster:", "bus.cluster: want ca, certificate and key"},
		"lazy checkpoints":   {change("checkpoint_every: 1m", "checkpoint_every: 1h"), "checkpoint_every", "audit.checkpoint_every: want 100ms to 1m"},
		"hasty audit alarm":  {change("unwitnessed_alarm: 5m", "unwitnessed_alarm: 10s"), "unwitnessed_alarm", "audit.unwitnessed_alarm: want at least checkpoint_every"},
		"witness in clear":   {change("witnesses: [] ", `witnesses: [{url: "http://w.example:8460"}] `), "witnesses: [", "audit.witnesses[0].url: want https://host:port"},
		"witness's key":      {change("witnesses: [] ", `witnesses: [{url: "https://w.example:8460", key: x}] `), "witnesses: [", "audit.witnesses[0].key: want the witness's verifier key"},
		"replicas":           {change("replicas: 3", "replicas: 7"), "replicas: 7", "bus.cluster.replicas: want 1 to 5"},
		"listen and cluster": {
			strings.Replace(change("urls: [] ", `urls: ["nats://127.0.0.1:4222"] `), `listen: ""                     # host`, `listen: "127.0.0.1:4223" # host`, 1),
			"listen: \"127.0.0.1:4223\"", "bus.listen: want nothing with bus.cluster",
		},
		"twice": {change("  country: DE", "  country: DE\n  country: NL"), "country: NL", "operator.country"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseConfig("f.yaml", []byte(tt.text), allRoles())
			var faults *configError
			if !errors.As(err, &faults) || len(faults.Faults) == 0 {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), tt.want) && name != "twice" {
				t.Errorf("got %q, want %q", err, tt.want)
			}
			want := lineOf(tt.text, tt.at)
			if got := faults.Faults[0].Line; got != want {
				t.Errorf("line %d, want %d (%v)", got, want, err)
			}
		})
	}
	keys := change("delivery_keys: {}", "delivery_keys: {police: /etc/a.key, customs: /etc/b.key}")
	if cfg, err := parseConfig("f.yaml", []byte(keys), allRoles()); err != nil || len(cfg.Mediation.Keys) != 2 || cfg.Mediation.Keys["customs"] != "/etc/b.key" {
		t.Errorf("keys of encryption containers: %v", err)
	}
	text := strings.Replace(change("country: DE", "country: d"), "level: info", "level: loud", 1)
	if _, err := parseConfig("f.yaml", []byte(text), allRoles()); strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two faults gave %q", err)
	}
}

// Mediation alone needs a bus: a cluster is one.
func TestMediationReadsACluster(t *testing.T) {
	t.Parallel()
	if _, err := parseConfig("f.yaml", []byte(exampleConfig), []role{roleMediation}); err == nil || !strings.Contains(err.Error(), "mediation.sources: required") {
		t.Errorf("without: %v", err)
	}
	text := strings.Replace(exampleConfig, "urls: [] ", `urls: ["nats://127.0.0.1:4222"] `, 1)
	if _, err := parseConfig("f.yaml", []byte(text), []role{roleMediation}); err != nil {
		t.Error(err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(exampleConfig))
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg, err := parseConfig("f", b, allRoles())
		if (cfg == nil) == (err == nil) {
			t.Fatal("want a config or an error")
		}
	})
}

// A profile of one's own is named with every fault at once, by its own lines.
func TestConfigNamesEveryFaultOfAProfile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "at.yaml")
	if err := os.WriteFile(file, []byte("name: at\ncountry: Austria\ncolour: crimson\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(name string) error {
		text := strings.Replace(exampleConfig, `profile: "" `, fmt.Sprintf("profile: %q ", name), 1)
		_, err := parseConfig("f.yaml", []byte(strings.Replace(text, "keeps_sealed_copy: false", "keeps_sealed_copy: true", 1)), allRoles())
		return err
	}
	err := check(file)
	for _, want := range []string{"line 2 of the profile's file: country: want two capitals", "line 3 of the profile's file: unknown key; want one of name", "legal_bases: want at least one"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err == nil || strings.Contains(err.Error(), "Austria") || strings.Contains(err.Error(), "crimson") {
		t.Errorf("a value is quoted: %v", err)
	}
	for _, name := range profile.Names() {
		if err := check(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
