package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	kms "gocloud.dev/secrets"
	_ "gocloud.dev/secrets/localsecrets" // base64key://
)

// keyService is the URL of a key service, as gocloud.dev/secrets reads it, that
// encrypts the master key's file; empty = none does, and the file is the key.
type keyService string

const keyServiceTimeout = 30 * time.Second

// Errors of key services. None quotes the URL, which may hold a secret, nor what the
// service said.
var (
	errKeyService       = errors.New("admin.master_kms: no such key service")
	errKeyServiceSealed = errors.New("the key service of admin.master_kms does not open the master key's file: another one encrypted it, or the service cannot be reached")
	errKeyServiceSeal   = errors.New("the key service of admin.master_kms does not encrypt: it cannot be reached, or refuses")
)

// known reports whether this build can ask a service of that URL.
func (k keyService) known() bool {
	u, err := url.Parse(string(k))
	return err == nil && u.Host != "" && kms.DefaultURLMux().ValidKeeperScheme(u.Scheme) // without a host base64key makes a key up
}

// open decrypts the content of the master key's file.
func (k keyService) open(kept []byte) ([]byte, error) {
	return k.ask(kept, (*kms.Keeper).Decrypt, errKeyServiceSealed)
}

// seal encrypts a master key for its file.
func (k keyService) seal(key []byte) ([]byte, error) {
	return k.ask(key, (*kms.Keeper).Encrypt, errKeyServiceSeal)
}

func (k keyService) ask(b []byte, do func(*kms.Keeper, context.Context, []byte) ([]byte, error), refused error) ([]byte, error) {
	if k == "" {
		return b, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), keyServiceTimeout)
	defer cancel()
	if !k.known() {
		return nil, errKeyService
	}
	keeper, err := kms.OpenKeeper(ctx, string(k))
	if err != nil {
		return nil, errKeyService
	}
	out, err := do(keeper, ctx, b)
	if err != nil {
		return nil, errors.Join(refused, keeper.Close())
	}
	return out, keeper.Close()
}
