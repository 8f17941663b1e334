# ligate: make help lists the targets.
SHELL := /bin/bash
GO ?= go
LINT := $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 20s
KILLS ?= 50
SECONDS_EACH ?= 4
CAPACITY ?=
TESTFLAGS ?=

.PHONY: help build demo test kill-test lint fmt verify bench fuzz vuln

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## build bin/ligate
	@mkdir -p bin
	$(GO) build -trimpath -o bin/ligate ./cmd/ligate

demo: ## install what is missing, then play the whole path once on loopback
	@scripts/install-deps demo
	@$(MAKE) --no-print-directory build
	bin/ligate demo --once

test: ## install what is missing, then run all tests with the race detector
	@scripts/install-deps test
	$(GO) test -race -timeout 22m $(TESTFLAGS) ./...
	$(GO) test -count=1 -run 'TestDelaysTellNothing|TestShortCallsLeaveNothing' ./intercept/sipproxy ./intercept/media
	@$(MAKE) --no-print-directory build
	@scripts/first-five-minutes >/dev/null

kill-test: ## kill -9 of every part, KILLS times (default 50), under 200 tapped calls; compares all that came through
	@scripts/install-deps test
	LIGATE_KILLS=$(KILLS) $(GO) test -race -count=1 -timeout 30m -v -run '^TestKillsUnderLoad$$' ./cmd/ligate

lint: ## vet, staticcheck, formatting and the import directions
	scripts/lint

fmt: ## format all Go code
	$(LINT) gofumpt -w $$(git ls-files '*.go')

verify: fmt ## format, then no difference may remain
	git diff --exit-code

bench: ## measure this machine, beside kamailio and rtpengine; CAPACITY=1 for calls a core
	@scripts/install-deps bench
	@$(MAKE) --no-print-directory build
	@SECONDS_EACH=$(SECONDS_EACH) scripts/bench $(if $(CAPACITY),--capacity)

fuzz: ## run every fuzz target for FUZZTIME (default 20s)
	FUZZTIME=$(FUZZTIME) scripts/fuzz

vuln: ## known vulnerabilities; needs the public database, so it stands outside CI
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...
