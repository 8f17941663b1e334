package main

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/mediation/etsi"
)

type agencyListenCmd struct {
	HI2    string `name:"hi2" default:"127.0.0.1:9442" help:"Where signalling and notifications arrive."`
	HI3    string `name:"hi3" default:"127.0.0.1:9443" help:"Where content arrives."`
	Keys   string `required:"" type:"path" help:"Folder for this LEMF's certificate, made at the first start."`
	Dir    string `required:"" type:"path" help:"Where sessions go."`
	Client string `required:"" help:"SHA-256 fingerprint of the operator's certificate (handover, from ligate config certificates)."`
	Signer string `type:"existingfile" help:"The operator's certificate of integrity checks (integrity.crt); without, signatures are not checked."`
	Key    string `type:"existingfile" help:"Key of the encryption container, 24 or 32 octets in base64."`
	PDUAck bool   `name:"pdu-ack" help:"Agree to acknowledge PDUs (clause 6.3.6)."`
	Quiet  bool   `help:"No live table; one line a fault, and the table at the end."`
}

const (
	tableEvery = time.Second
	tableRows  = 40
)

// Run listens until it is interrupted. Exit code 1 says that there were faults.
func (c *agencyListenCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.config(s)
	if err != nil {
		return err
	}
	l, err := lemf.New(cfg)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.Run(ctx) })
	g.Go(func() error {
		select {
		case <-l.Ready():
		case <-ctx.Done():
			return nil
		}
		hi2, hi3 := l.Addrs()
		fmt.Fprintf(s.err, "listening: HI2 %s, HI3 %s; certificate %s\n", hi2, hi3, pki.Fingerprint(cfg.TLS.Certificates[0].Certificate[0]))
		for ticker := time.NewTicker(tableEvery); ; {
			select {
			case <-ctx.Done():
				ticker.Stop()
				return nil
			case <-ticker.C:
				if !c.Quiet {
					fmt.Fprint(s.out, "\x1b[H\x1b[2J")
					printLEMF(s, l.State())
				}
			}
		}
	})
	if err := g.Wait(); err != nil {
		return err
	}
	st := l.State()
	printLEMF(s, st)
	if st.Total > 0 {
		return fmt.Errorf("%d faults", st.Total)
	}
	return nil
}

func (c *agencyListenCmd) config(s streams) (lemf.Config, error) {
	if !validFingerprint(c.Client) {
		return lemf.Config{}, usagef("--client: want the SHA-256 of the operator's certificate: 64 lower-case hexadecimal digits")
	}
	own, err := pki.LoadOrCreate(c.Keys, "lemf", pki.Spec{CommonName: "LEMF", Names: []string{"localhost", "127.0.0.1"}})
	if err != nil {
		return lemf.Config{}, err
	}
	cfg := lemf.Config{
		HI2: c.HI2, HI3: c.HI3, TLS: pki.Server(own, c.Client), Dir: c.Dir, Log: logging.New(s.err, slog.LevelWarn), PDUAck: c.PDUAck,
	}
	cfg.TLS.MinVersion = tls.VersionTLS12
	if c.Quiet {
		cfg.Fault = func(text string) { fmt.Fprintln(s.err, "fault:", text) }
	}
	if c.Signer != "" {
		cert, err := readCertificate(c.Signer)
		if err != nil {
			return cfg, &usageError{err}
		}
		key, ok := cert.PublicKey.(*ecdsa.PublicKey)
		if !ok {
			return cfg, usagef("--signer: want a certificate with an ECDSA key")
		}
		cfg.Signer = key
	}
	if c.Key != "" {
		if cfg.Opener, err = readOpener(c.Key); err != nil {
			return cfg, &usageError{err}
		}
	}
	return cfg, nil
}

func readOpener(path string) (*etsi.Sealer, error) {
	key, err := readContainerKey(path)
	if err != nil {
		return nil, err
	}
	kind := etsi.EncAES256
	if len(key) == 24 {
		kind = etsi.EncAES192
	}
	return etsi.NewSealer(kind, key)
}

// printLEMF prints a line a counter, the newest sessions last, and the faults.
func printLEMF(s streams, st lemf.State) {
	table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "LIID\tCIN\tKIND\tPDUS\tMISSING\tDUPLICATES\tCHECKED\tSIGNED\tENDED")
	keys := make([]lemf.Key, 0, len(st.Sessions))
	for k := range st.Sessions {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b lemf.Key) int {
		return cmp.Or(cmp.Compare(a.LIID, b.LIID), cmp.Compare(a.CIN, b.CIN), cmp.Compare(a.Kind, b.Kind))
	})
	if extra := len(keys) - tableRows; extra > 0 {
		fmt.Fprintf(table, "… %d more\n", extra)
		keys = keys[extra:]
	}
	for _, k := range keys {
		kind, n := "IRI", st.Sessions[k]
		if k.Kind == etsi.KindCC {
			kind = "CC"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%t\n", k.LIID, k.CIN, kind, n.PDUs, n.Missing, n.Duplicates, n.Checked, n.Signed, n.Ended)
	}
	_ = table.Flush() // of a terminal
	fmt.Fprintf(s.out, "lag from the tap: median %s, 99th percentile %s; notices %d, messages %d, faults %d\n",
		st.Lags.Quantile(.5), st.Lags.Quantile(.99), len(st.HI1), len(st.Messages), st.Total)
	for _, f := range st.Faults[max(0, len(st.Faults)-10):] {
		fmt.Fprintln(s.out, "fault:", f)
	}
}
