package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/ligate/ligate/warrant/alarm"
	"github.com/ligate/ligate/warrant/pgstore"
)

// buildAlarms watches the store for what needs a person, and tells the webhook.
func (n *node) buildAlarms() error {
	a := n.cfg.Admin.Alarms
	watcher, err := alarm.New(alarm.Config{
		Store: n.db.warrants, Log: n.log, LIReg: n.li, Told: a.Webhook.URL != "",
		Settings: pgstore.WatchSettings{SilentAfter: time.Duration(*a.SilentAfter), VanishedAfter: time.Duration(*a.VanishedAfter), SelfTests: a.selfTests(), SelfTestAfter: time.Duration(*a.SelfTestAfter)},
	})
	if err != nil {
		return err
	}
	n.add(part{name: "alarms", run: watcher.Run})
	if a.Webhook.URL == "" {
		return nil
	}
	key, err := os.ReadFile(a.Webhook.Key)
	if err != nil {
		return fmt.Errorf("webhook's key: %w", err)
	}
	cfg := alarm.HookConfig{Store: n.db.warrants, LIReg: n.li, URL: a.Webhook.URL, Key: key}
	if a.Webhook.CA != "" {
		text, err := os.ReadFile(a.Webhook.CA)
		if err != nil {
			return fmt.Errorf("webhook's authorities: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("webhook's authorities: %s holds no PEM certificate", a.Webhook.CA)
		}
		cfg.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	hook, err := alarm.NewHook(cfg)
	if err != nil {
		return err
	}
	n.add(part{name: "webhook", run: hook.Run})
	return nil
}
