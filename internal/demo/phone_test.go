package demo

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"testing"
)

// Two phones talk without a gateway between them: what each says arrives whole.
func TestPhonesTalk(t *testing.T) {
	t.Parallel()
	callee := startPhone(t, "127.0.0.1:0", "+4989555000", netip.AddrPort{}, PSTNSpeech().Seconds(1))
	caller := startPhone(t, "127.0.0.1:0", "+4930555000", callee.Addr(), nil)
	want := len(PSTNSpeech().Seconds(1)) / FrameSamples
	got, err := caller.Call(t.Context(), "+4989555000", SubscriberSpeech().Seconds(1), want)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != 200 || got.CallerHeard != want || got.CallerSent != 50 {
		t.Errorf("call = %+v, want status 200, %d heard, 50 sent", got, want)
	}
}

func startPhone(t *testing.T, at, user string, proxy netip.AddrPort, says Speech) *Phone {
	t.Helper()
	p, err := NewPhone(PhoneConfig{
		Addr: netip.MustParseAddrPort(at), User: user, Proxy: proxy, Says: says,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	<-p.Ready()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("phone: %v", err)
		}
	})
	return p
}
