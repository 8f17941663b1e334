package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/mediation/etsi"
)

// monitor runs the agency's LEMF until life ends, and has two people say that records
// are pushed there.
func (st *story) monitor(ctx, life context.Context) error {
	cfg, err := st.lemfConfig(st.path("agency", "lemf-keys"))
	if err != nil {
		return err
	}
	if st.lemf, err = lemf.New(cfg); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- st.lemf.Run(life) }()
	select {
	case <-st.lemf.Ready():
	case err := <-ended:
		return err
	}
	hi2, hi3 := st.lemf.Addrs()
	return st.deliver(ctx, map[string]any{
		"hi2": hi2.String(), "hi3": hi3.String(), "certificate": pki.Fingerprint(cfg.TLS.Certificates[0].Certificate[0]), "hi1": true,
	})
}

// lemfConfig is that of a LEMF of this operator's, with a certificate in that folder.
func (st *story) lemfConfig(keys string) (lemf.Config, error) {
	own, err := pki.LoadOrCreate(keys, "lemf", pki.Spec{CommonName: "LEMF", Names: []string{"127.0.0.1"}})
	if err != nil {
		return lemf.Config{}, err
	}
	handover, err := secrets{dir: st.path("operator", "secrets")}.handover()
	if err != nil {
		return lemf.Config{}, err
	}
	integrity, err := readCertificate(st.path("operator", "secrets", "integrity.crt"))
	if err != nil {
		return lemf.Config{}, err
	}
	signer, ok := integrity.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return lemf.Config{}, errors.New("the certificate of integrity checks has no ECDSA key")
	}
	return lemf.Config{
		HI2: "127.0.0.1:0", HI3: "127.0.0.1:0", TLS: pki.Server(own, pki.Fingerprint(handover.Certificate[0])), Dir: st.path("lemf"),
		Log: slog.New(slog.DiscardHandler), Signer: signer,
	}, nil
}

// deliver has one system administrator add a delivery of the agency and another
// confirm it.
func (st *story) deliver(ctx context.Context, delivery map[string]any) error {
	root1, err := st.client("root1")
	if err != nil {
		return err
	}
	root2, err := st.client("root2")
	if err != nil {
		return err
	}
	var made struct {
		Number int `json:"number"`
	}
	path := "/admin/v1/agencies/" + st.agencyID + "/deliveries"
	if _, err := root1.do(ctx, http.MethodPost, path, delivery, &made); err != nil {
		return err
	}
	_, err = root2.do(ctx, http.MethodPost, fmt.Sprintf("%s/%d/confirm", path, made.Number), nil, nil)
	return err
}

// pushed holds what the LEMF received against what the agency fetched.
func (st *story) pushed(ctx context.Context) error {
	st.say("6. Meanwhile the same records went to the agency's LEMF, as the call was held (HI2 and HI3, TS 102 232-1).")
	all, err := st.sessions(ctx)
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("%d sessions, want one", len(all))
	}
	var got lemf.State
	for {
		got = st.lemf.State()
		iri, cc := got.Sessions[lemf.Key{LIID: demoLIID, CIN: 1, Kind: etsi.KindIRI}], got.Sessions[lemf.Key{LIID: demoLIID, CIN: 1, Kind: etsi.KindCC}]
		if iri.Ended && cc.Ended {
			break
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return context.Cause(ctx)
		}
	}
	for kind, want := range map[etsi.Kind]int64{etsi.KindIRI: all[0].IRIRecords, etsi.KindCC: all[0].CCRecords} {
		c := got.Sessions[lemf.Key{LIID: demoLIID, CIN: 1, Kind: kind}]
		if c.PDUs != uint64(want) || c.Checked != c.PDUs || c.Signed != c.Checks || c.Missing > 0 { //nolint:gosec // not negative
			return fmt.Errorf("the LEMF has %+v, want %d records, all under signed integrity checks", c, want)
		}
	}
	if got.Total > 0 {
		return fmt.Errorf("the LEMF found a fault: %s", got.Faults[0])
	}
	if len(got.Sessions) != 2 || len(got.HI1) == 0 || got.HI1[0].What != etsi.HI1Activated {
		return errors.New("the LEMF was not told that the tap is active, or has more than the one session")
	}
	st.tick("%d SIP messages and %d media packets, each once, in order, under integrity checks that verify; half of them within %d ms of the tap",
		all[0].IRIRecords, all[0].CCRecords, got.Lags.Quantile(.5).Milliseconds())
	fmt.Fprintf(st.out, "    HI2, HI3   %s\n", st.path("lemf"))
	return nil
}
