// Program dokku-agent is the host side: it deploys what dokku-push sends, and
// answers Dokku's commands. Under the name dokku it is the dokku entry program.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker: -X main.version=…
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A client that is gone makes writes fail with EPIPE; it must not end the program.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; the exit code is its answer.
func run(ctx context.Context, args []string, stdin *os.File, stdout *os.File, stderr io.Writer) int {
	program := program{ctx: ctx, self: args, in: stdin, out: stdout, err: stderr}
	if code, known := program.byName(); known {
		return code
	}
	if len(args) < 2 {
		return program.usage()
	}
	rest := args[2:]
	switch args[1] {
	case "dokku":
		return program.dokku(rest)
	case "shim":
		return program.shim(rest)
	case "serve":
		return program.serve(rest)
	case "watch":
		return program.watch(rest)
	case "recover":
		return program.recover(rest)
	case "install":
		return program.install(rest)
	case "keys":
		return program.keys(rest)
	case "domain":
		return program.domain(rest)
	case "deploy":
		return program.deploy()
	case "apply":
		return program.applyHost(rest)
	case verbBuildKit:
		return program.buildkit(rest)
	case "root":
		return program.root(rest)
	case "version", "--version", "-v":
		return program.printVersion()
	case "help", "--help", "-h":
		program.usage()
		return 0
	}
	return program.usage()
}
