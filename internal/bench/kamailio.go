package bench

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"
	"time"
)

//go:embed kamailio.cfg.tmpl
var kamailioConfig string

// The memory that kamailio may use, MB: enough for the held calls.
const (
	kamailioShared  = "512"
	kamailioPrivate = "16"
)

// kamailio is Debian's proxy with one UDP worker.
type kamailio struct {
	daemon *daemon
	dir    string
	addr   netip.AddrPort
}

// startKamailio runs it on loopback, with the load's answering side as its next hop.
func startKamailio(ctx context.Context, trunk netip.AddrPort) (k *kamailio, err error) {
	k = &kamailio{}
	if k.addr, err = freePort(); err != nil {
		return nil, err
	}
	if k.dir, err = runDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	config := filepath.Join(k.dir, "kamailio.cfg")
	if err := writeKamailioConfig(config, k.addr, trunk); err != nil {
		return nil, err
	}
	k.daemon, err = startDaemon(ctx, "", peerKamailio(), []string{
		"-f", config, "-DD", "-E", "-Y", k.dir, "-w", k.dir, "-m", kamailioShared, "-M", kamailioPrivate,
	})
	if err != nil {
		return nil, err
	}
	if err := k.daemon.ready(ctx, k.ping); err != nil {
		return nil, fmt.Errorf("run kamailio: %w", err)
	}
	return k, nil
}

func writeKamailioConfig(path string, listen, trunk netip.AddrPort) error {
	t, err := template.New("kamailio").Parse(kamailioConfig)
	if err != nil {
		return fmt.Errorf("read template: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	err = t.Execute(f, struct{ Listen, Trunk netip.AddrPort }{listen, trunk})
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// ping asks for options; any answer will do.
func (k *kamailio) ping() error {
	c, err := dial(k.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	own := c.LocalAddr()
	_, err = fmt.Fprintf(c, "OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKping\r\nMax-Forwards: 70\r\nFrom: <sip:ping@x>;tag=p\r\n"+
		"To: <sip:%s>\r\nCall-ID: ping\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", k.addr, own, k.addr)
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(ngWait))
	if _, err := c.Read(make([]byte, 1500)); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

func (k *kamailio) group() int { return k.daemon.group() }

// collect has nothing to do: kamailio's memory is as it is.
func (k *kamailio) collect() error { return nil }

func (k *kamailio) close() error {
	if k.daemon != nil {
		k.daemon.stop()
	}
	if err := os.RemoveAll(k.dir); err != nil {
		return fmt.Errorf("remove folder: %w", err)
	}
	return nil
}
