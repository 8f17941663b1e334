package main

import (
	"strings"
	"testing"
	"time"
)

const (
	printA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	printB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// withX2X3 puts other lines in the place of the example's.
func withX2X3(t *testing.T, pairs ...string) string {
	t.Helper()
	text := exampleConfig
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the example lacks %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// What cannot go together, and what is missing, is said plainly.
func TestX2X3ConfigFaults(t *testing.T) {
	t.Parallel()
	const listen, elements = "x2x3:                          # for network elements that are not ours (TS 103 221-2)\n    listen: \"\" ", "  elements: []"
	on := "x2x3:\n    listen: \"127.0.0.1:9999\" "
	gateways := "  reconcile_every: 10s"
	tasked := "  reconcile_every: 10s\n  gateways: [{id: gw-1, url: \"https://127.0.0.1:8441/X1/NE\"}, {id: sbc-1, url: \"https://192.0.2.1/X1/NE\", certificate: " + printB + "}]\n#"
	good := "  elements: [{id: sbc-1, certificate: " + printA + ", x2: true, x3: true}]"
	exports := []string{"    x2: \"\" ", "    x2: \"192.0.2.1:1\" ", "    x3: \"\" ", "    x3: \"192.0.2.1:2\" ", "    certificate: \"\"              # the MDF's", "    certificate: " + printA + " #"}
	apart := append([]string{"    listen: 127.0.0.1:8441       # tasks from the ADMF, mutual TLS\n    certificate: \"\" ", "    listen: 127.0.0.1:8441\n    certificate: " + printB + " "}, exports...)
	for name, tt := range map[string]struct {
		pairs []string
		roles []role
		want  string // empty = valid
	}{
		"elements that are tasked":    {[]string{listen, on, elements, good, gateways, tasked}, allRoles(), ""},
		"elements without Tasks":      {[]string{listen, on, elements, good}, allRoles(), "mediation.elements[0].id: want it in admin.gateways too"},
		"elements without a port":     {[]string{elements, good, gateways, tasked}, allRoles(), "mediation.x2x3.listen: required"},
		"a port without elements":     {[]string{listen, on}, allRoles(), "mediation.elements: required with mediation.x2x3.listen"},
		"two of one certificate":      {[]string{listen, on, elements, strings.Replace(good, "}]", "}, {id: b, x3: true, certificate: "+printA+"}]", 1)}, []role{roleMediation}, "mediation.elements[1].certificate: required, and each certificate once"},
		"one that sends nothing":      {[]string{listen, on, elements, "  elements: [{id: a, certificate: " + printA + "}]"}, []role{roleMediation}, "mediation.elements[0]: want x2, x3 or both"},
		"our own gateway":             {[]string{listen, on, elements, strings.Replace(good, "sbc-1", "gw-1", 1)}, []role{roleMediation}, "mediation.elements[0].id: want another name than gateway.id"},
		"a backlog below the skew":    {[]string{"backlog: 24h", "backlog: 1m"}, allRoles(), "mediation.x2x3.backlog: want at least skew"},
		"impatience":                  {[]string{"silence: 3m", "silence: 5s"}, allRoles(), "mediation.x2x3.silence: want 0s (never) or at least 1m"},
		"mediation that only listens": {[]string{listen, on, elements, good}, []role{roleMediation}, ""},
		"export apart":                {apart, []role{roleGateway}, ""},
		"export beside mediation":     {exports, allRoles(), "gateway.export: want no mediation in this process: a bus has one reader"},
		"export and a bus port": {
			append([]string{"  listen: \"\"                     # host:port for a mediation", "  listen: \"127.0.0.1:1\" # ", "  mediation_certificate: \"\"", "  mediation_certificate: " + printB}, apart...),
			[]role{roleGateway},
			"bus.listen: want nothing with gateway.export: a bus has one reader",
		},
		"export without X3":      {apart[:4], []role{roleGateway}, "gateway.export.x3: required"},
		"export without a pin":   {apart[:6], []role{roleGateway}, "gateway.export.certificate: required"},
		"export and a cluster":   {append([]string{"urls: [] ", `urls: ["nats://127.0.0.1:4222"] `}, apart...), []role{roleGateway}, "bus.cluster: want no urls with gateway.export"},
		"half a pair of files":   {append([]string{"tls: {certificate: \"\", key: \"\"}  # PEM files that we show", "tls: {certificate: \"\", key: a.pem} #"}, apart...), []role{roleGateway}, "gateway.export.tls: want certificate and key"},
		"no export, and no bus":  {apart[:2], []role{roleGateway}, "bus.listen: required"},
		"an unknown key of ours": {[]string{"    listen_x3:", "    listen_x4:"}, allRoles(), "mediation.x2x3.listen_x4: unknown key"},
	} {
		_, err := parseConfig("f.yaml", []byte(withX2X3(t, tt.pairs...)), tt.roles)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v\nwant %q", name, err, tt.want)
		}
	}
}

func TestX2X3Defaults(t *testing.T) {
	t.Parallel()
	cfg, d := decodeConfig([]byte("mediation: {x2x3: {silence: 0s}}\n"))
	if len(d.faults) > 0 {
		t.Fatal(d.faults)
	}
	cfg.setDefaults()
	x := cfg.Mediation.X2X3
	if *x.Silence != 0 || time.Duration(*x.Skew) != 5*time.Minute || time.Duration(*x.Backlog) != 24*time.Hour {
		t.Errorf("skew %v, backlog %v, silence %v", *x.Skew, *x.Backlog, *x.Silence)
	}
}
