package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/witness"
)

// auditConfig is how the audit log's checkpoints are made and witnessed.
type auditConfig struct {
	CheckpointEvery  duration        `yaml:"checkpoint_every"`  // default 1m
	UnwitnessedAlarm duration        `yaml:"unwitnessed_alarm"` // without any cosignature for so long; default 5m
	Witnesses        []witnessConfig `yaml:"witnesses"`
}

type witnessConfig struct {
	URL         string `yaml:"url"`         // below which add-checkpoint is; http only on a loopback address
	Key         string `yaml:"key"`         // the witness's verifier key
	Certificate string `yaml:"certificate"` // fingerprint of its TLS certificate; empty: the system's authorities
}

func (a *auditConfig) setDefaults() {
	if a.CheckpointEvery == 0 {
		a.CheckpointEvery = duration(witness.DefaultEvery)
	}
	if a.UnwitnessedAlarm == 0 {
		a.UnwitnessedAlarm = duration(witness.DefaultPatience)
	}
}

const maxCheckpointEvery = time.Minute

func (c checker) checkAudit(a auditConfig) {
	every := time.Duration(a.CheckpointEvery)
	c.want(every >= 100*time.Millisecond && every <= maxCheckpointEvery, "audit.checkpoint_every", "want 100ms to 1m")
	c.want(a.UnwitnessedAlarm >= a.CheckpointEvery, "audit.unwitnessed_alarm", "want at least checkpoint_every")
	names := map[string]bool{}
	for i, w := range a.Witnesses {
		path := fmt.Sprintf("audit.witnesses[%d]", i)
		u, err := url.Parse(w.URL)
		c.want(err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())),
			path+".url", "want https://host:port, or http:// on a loopback address")
		v, err := audit.NewWitnessVerifier(w.Key)
		c.want(err == nil, path+".key", "want the witness's verifier key NAME+KEYID+KEY of type cosignature/v1")
		if err == nil {
			c.want(!names[v.Name()], path+".key", "another witness has that name")
			names[v.Name()] = true
		}
		c.want(w.Certificate == "" || validFingerprint(w.Certificate), path+".certificate", "want the SHA-256 of the witness's certificate: 64 lower-case hexadecimal digits")
	}
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
