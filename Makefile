# What a person types; CI types the same (.ci/run).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PROGRAMS := dokku-push dokku-agent
GO_BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)"
SCRIPTS = .ci/run $(wildcard scripts/*.sh scripts/deb/*)

# GOOS/GOARCH pairs of a release. The agent runs where the engine does: on Linux.
CLIENT_PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
AGENT_PLATFORMS := linux/amd64 linux/arm64

.PHONY: setup setup-demo
setup: ## install what the tests need, start the Docker Engine if none answers
	@scripts/setup.sh test

setup-demo: ## the same for the demo alone
	@scripts/setup.sh demo

.PHONY: build
build: ## bin/dokku-push and bin/dokku-agent, static
	@mkdir -p bin
	@for program in $(PROGRAMS); do $(GO_BUILD) -o bin/$$program ./cmd/$$program; done

.PHONY: test
test: setup ## all tests, against the real engine, nginx, registry and sshd
	go vet ./...
	go test -count=1 -timeout 25m -p 2 -parallel 4 ./...

.PHONY: bench
bench: setup ## what is claimed about speed, measured side by side: each benchmark prints its ratio
	go test -run '^$$' -bench . -benchtime 20x ./agent ./triggers
	go test -run '^$$' -bench . -benchtime 15x -timeout 30m ./bench

SOAK ?= 10m
.PHONY: faults soak
faults: setup ## break a deploy everywhere: the whole matrix, in memory and on real parts
	go test -count=1 -timeout 3h -v -run '^(TestFaults|TestPlugins)$$' ./agent -faults=all
	go test -count=1 -timeout 2h -parallel 4 -v -run '^(TestFaults|TestFaultsNginx)$$' ./internal/e2e -faults=all

soak: ## whatever may happen to some apps, broken at random, for SOAK=10m; two hundred review apps
	go test -count=1 -timeout 0 -v -run '^TestScenario$$' ./agent -soak=$(SOAK)
	go test -count=1 -timeout 1h -v -run '^TestReviewApps$$' ./agent -reviews=200
	go test -count=1 -timeout 2h -v -run '^TestReviewsLeaveNothing$$' ./internal/e2e -reviews=200

.PHONY: lint
lint: setup ## gofmt, vet, staticcheck, shellcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	shellcheck $(SCRIPTS)

.PHONY: check
check: lint ## lint, and go.mod as `go mod tidy` would write it
	go mod tidy -diff

.PHONY: docs screenshots
docs: ## everything in docs that is made of the sources
	DOKKU_PUSH_UPDATE=1 go test -count=1 -run 'Reference|SchemasAreWritten|^TestManPages$$' ./manifest ./push/report ./cmd/dokku-push
	go generate ./triggers

screenshots: setup ## docs/screenshots, of a push to an embedded host on a terminal of 96 columns
	DOKKU_PUSH_UPDATE=1 go test -count=1 -run '^TestTerminal$$' ./internal/e2e

.PHONY: demo demo-clean
demo: setup-demo build ## push, change, push again, roll back: on an embedded host
	@scripts/demo.sh

demo-clean: ## take away what the demo left
	@scripts/demo.sh clean

.PHONY: release
release: ## static binaries of both programs with checksums, in dist/
	@rm -rf dist && mkdir -p dist
	@for platform in $(CLIENT_PLATFORMS); do \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO_BUILD) -o "dist/dokku-push_$${platform/\//_}" ./cmd/dokku-push; \
	done
	@for platform in $(AGENT_PLATFORMS); do \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO_BUILD) -o "dist/dokku-agent_$${platform/\//_}" ./cmd/dokku-agent; \
	done
	@cd dist && if command -v sha256sum >/dev/null; then sha256sum *; else shasum -a 256 *; fi >../SHA256SUMS.part
	@mv SHA256SUMS.part dist/SHA256SUMS
	@cat dist/SHA256SUMS

.PHONY: deb
deb: ## Debian packages of the agent, from what `make release` built
	@for arch in amd64 arm64; do \
		scripts/deb.sh "$(VERSION)" "$$arch" "dist/dokku-agent_linux_$$arch" "dist/dokku-agent_$$arch.deb"; \
	done
	@cd dist && { grep -v '\.deb$$' SHA256SUMS; sha256sum *.deb; } >../SHA256SUMS.part
	@mv SHA256SUMS.part dist/SHA256SUMS

.PHONY: release-test
release-test: setup ## the release workflow of HEAD, compiled, and once more elsewhere: byte for byte the same
	go test -count=1 -timeout 1h -v -run '^TestRelease$$' ./internal/e2e -compiled

.PHONY: clean
clean: demo-clean ## also the binaries
	@rm -rf bin dist

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
