package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// asLigate makes the test binary be ligate itself, for tests that kill it.
const asLigate = "LIGATE_TEST_AS_LIGATE"

func TestMain(m *testing.M) {
	if os.Getenv(asLigate) != "" {
		os.Exit(ligateMain())
	}
	testscript.Main(m, map[string]func(){"ligate": func() { os.Exit(ligateMain()) }})
}

func ligateMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}
