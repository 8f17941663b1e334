package main

import (
	"strings"
	"testing"

	"github.com/ligate/ligate/li/x1"
)

// What an element that is not ours needs, and what only it may have, is said plainly.
func TestX1ConfigFaults(t *testing.T) {
	t.Parallel()
	element := func(rest string) []string {
		return []string{"  reconcile_every: 10s", "  gateways: [{id: gw-1, url: \"https://127.0.0.1:8441/X1/NE\"}, {id: sbc-1, url: \"https://192.0.2.1/X1/NE\", certificate: " + printB + rest + "}]\n#"}
	}
	for name, tt := range map[string]struct {
		pairs []string
		want  string // empty = valid
	}{
		"an element":                 {element(`, extension: none, destinations: {x2: "192.0.2.7:6543", x3: "[2001:db8::7]:6543"}, keepalive: 20s`), ""},
		"an element without X2":      {element(`, extension: none`), "admin.gateways[1].destinations.x2: required"},
		"a destination by name":      {element(`, extension: none, destinations: {x2: "mdf.example:6543"}`), "admin.gateways[1].destinations.x2: want an IP address"},
		"our gateway told where":     {element(`, destinations: {x2: "192.0.2.7:6543"}`), "admin.gateways[1].destinations: want nothing without extension"},
		"another extension":          {element(`, extension: acme`), "admin.gateways[1].extension: want none"},
		"hasty keep-alive":           {element(`, keepalive: 1ms`), "admin.gateways[1].keepalive: want 0s (none) or at least 1s"},
		"reports in clear":           {[]string{`    admf: ""  `, `    admf: "http://192.0.2.1/X1/ADMF"`}, "gateway.x1.admf: want https://"},
		"endless grace":              {[]string{"grace: 5s", "grace: 1h"}, "gateway.x1.grace: want 0s to 1m"},
		"impatient gateway":          {[]string{"keepalive: 0s", "keepalive: 1s"}, "gateway.x1.keepalive: want 0s (none) or at least 10s"},
		"webhook in clear":           {[]string{`      url: ""`, `      url: "http://192.0.2.1/"`, `      key: ""`, `      key: "k"`}, "admin.alarms.webhook.url: want https://"},
		"webhook by name over http":  {[]string{`      url: ""`, `      url: "http://localhost/"`, `      key: ""`, `      key: "k"`}, "admin.alarms.webhook.url: want https://"},
		"webhook without key":        {[]string{`      url: ""`, `      url: "https://192.0.2.1/"`}, "admin.alarms.webhook.key: required"},
		"webhook on this machine":    {[]string{`      url: ""`, `      url: "http://127.0.0.1:8080/"`, `      key: ""`, `      key: "k"`}, ""},
		"silence that is none":       {[]string{"silent_after: 168h", "silent_after: 1m"}, "admin.alarms.silent_after: want 0s (none) or at least 1h"},
		"reports to no listener":     {[]string{"    listen: \"\"                   # where gateways", "    listen: here # where"}, "admin.x1.listen: want address and port"},
		"an end in the past of time": {[]string{"longest: 0s", "longest: -1h"}, "gateway.x1.longest: want 0s"},
	} {
		_, err := parseConfig("f.yaml", []byte(withX2X3(t, tt.pairs...)), allRoles())
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v\nwant %q", name, err, tt.want)
		}
	}
}

// A destination has the same DID at each start, and another one for each element and kind.
func TestDestinationID(t *testing.T) {
	t.Parallel()
	seen := map[x1.DID]bool{}
	for _, element := range []string{"a", "b"} {
		for _, kind := range []x1.Delivery{x1.DeliverX2, x1.DeliverX3} {
			id := destinationID(element, kind)
			if id != destinationID(element, kind) || seen[id] {
				t.Errorf("%s of %s: %s is another's, or changes", kind, element, id)
			}
			if _, err := x1.ParseDID(id.String()); err != nil || id.String()[14] != '8' {
				t.Errorf("%s is no UUID of version 8", id)
			}
			seen[id] = true
		}
	}
}
