// Sample-app is a Go program with something to profile. It burns CPU, leaks memory and fights over a
// mutex when it is told to, or in turns by itself, and serves its real profiles through net/http/pprof.
//
// The function that causes each kind of trouble carries its name, so that a profile of it is easy to
// judge: burnCPU, leakMemory, contendMutex.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// How long open requests may take to end after a signal: a CPU profile in flight is cut, because a
// pod that is told to go should go.
const shutdownTimeout = 2 * time.Second

func main() {
	if err := run(os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "sample-app:", err)
		os.Exit(1)
	}
}

// run is the program. It ends on SIGTERM or SIGINT, and with --parent-watch when stdin closes.
func run(arguments []string, environment func(string) (string, bool), stdin io.Reader, stdout io.Writer) error {
	options, err := parseOptions(arguments, environment)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if options.parentWatch {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go func() {
			// Nothing is said on stdin: its end is the message.
			_, _ = io.Copy(io.Discard, stdin)
			cancel()
		}()
	}

	runtime.SetMutexProfileFraction(options.mutexProfileFraction)
	runtime.SetBlockProfileRate(options.blockProfileRateNanoseconds)

	load := newLoad(ctx, options.contendWorkers)
	defer load.stop()

	control, err := net.Listen("tcp", options.addr)
	if err != nil {
		return fmt.Errorf("listen for control: %w", err)
	}
	profiles, err := net.Listen("tcp", options.pprofAddr)
	if err != nil {
		_ = control.Close()
		return fmt.Errorf("listen for pprof: %w", err)
	}
	ended := make(chan error, 2)
	servers := []*http.Server{newServer(controlHandler(load)), newServer(pprofHandler(options.failTypes, options.withoutTypes))}
	for index, listener := range []net.Listener{control, profiles} {
		go func() { ended <- servers[index].Serve(listener) }()
	}
	if err := announce(stdout, control.Addr(), profiles.Addr()); err != nil {
		return err
	}
	slog.Info("started", "control", control.Addr().String(), "pprof", profiles.Addr().String(), "turns", options.turns)
	startInitialLoad(ctx, load, options)

	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	deadline, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	for _, server := range servers {
		if server.Shutdown(deadline) != nil {
			_ = server.Close()
		}
	}
	slog.Info("ended")
	return err
}

// announce says on one line of JSON where the program listens, so that whoever starts it with port 0
// can read the ports.
func announce(stdout io.Writer, control, profiles net.Addr) error {
	return json.NewEncoder(stdout).Encode(map[string]string{"control": control.String(), "pprof": profiles.String()})
}

func startInitialLoad(ctx context.Context, load *load, options options) {
	if options.turns {
		go load.takeTurns(ctx, options.turnsPlan())
		return
	}
	if options.burnCores > 0 {
		load.burn(options.burnCores, forever)
	}
	if options.leakMegabytes > 0 {
		load.leak(options.leakMegabytes, options.leakRate)
	}
	if options.contend {
		load.contend(forever)
	}
}

// newServer has no write timeout: a CPU profile takes as long as it is asked to.
func newServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
}
