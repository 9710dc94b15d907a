// Hostile is a program whose profiles are wrong in every way that a profile can be wrong. Tests point
// the operator at it, choose how it misbehaves, and ask afterwards what it was asked.
//
//	:6060  the pprof endpoints that misbehave
//	:8080  /mode?set=SPEC   choose; without set: say which is chosen
//	       /seen            what was asked and served, as JSON
//	       /forget          start counting anew
//	       /healthz         ok
//
// SPEC is a mode for all types, or TYPE=MODE,TYPE=MODE where the types not named behave: see modes.go.
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
	"sync/atomic"
	"syscall"
	"time"
)

// Connections at once. A test has at most 32 captures; the rest is for one that leaks them.
const connectionsMax = 256

type options struct {
	addr, pprofAddr, decoyAddr, mode string
	patience                         time.Duration
	parentWatch                      bool
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}

func parseOptions(arguments []string) (options, error) {
	var parsed options
	flags := flag.NewFlagSet("hostile", flag.ContinueOnError)
	flags.StringVar(&parsed.addr, "addr", ":8080", "address of the control endpoints")
	flags.StringVar(&parsed.pprofAddr, "pprof-addr", ":6060", "address of the pprof endpoints")
	flags.StringVar(&parsed.decoyAddr, "decoy-addr", "", "address that redirects lead to, such as 169.254.169.254:80 where a test owns it; what is asked there is counted under decoy")
	flags.StringVar(&parsed.mode, "mode", environmentOr("MODE", "ok"), "how to misbehave (environment: MODE)")
	flags.DurationVar(&parsed.patience, "patience", 10*time.Minute, "longest answer; everything endless ends then")
	flags.BoolVar(&parsed.parentWatch, "parent-watch", false, "end when stdin closes")
	if err := flags.Parse(arguments); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return parsed, nil
}

func environmentOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func run(arguments []string, stdin io.Reader, stdout io.Writer) error {
	options, err := parseOptions(arguments)
	if err != nil {
		return err
	}
	first, err := parseBehaviour(options.mode)
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
			_, _ = io.Copy(io.Discard, stdin)
			cancel()
		}()
	}
	served := &service{seen: newSeen(), patience: options.patience, ended: ctx.Done()}
	served.behaviour.Store(&first)
	return serve(ctx, options, served, stdout)
}

func serve(ctx context.Context, options options, served *service, stdout io.Writer) error {
	handlers := map[string]http.Handler{"control": served.control(), "pprof": served.profiles(), "decoy": served.decoy()}
	addresses := map[string]string{"control": options.addr, "pprof": options.pprofAddr}
	if options.decoyAddr != "" {
		addresses["decoy"] = options.decoyAddr
	}
	announced := map[string]string{}
	ended := make(chan error, len(addresses))
	for name, address := range addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("listen for %s: %w", name, err)
		}
		announced[name] = listener.Addr().String()
		server := &http.Server{Handler: handlers[name], ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
		defer func() { _ = server.Close() }()
		go func() { ended <- server.Serve(&boundedListener{Listener: listener}) }()
	}
	// One line, so that whoever starts it with port 0 can read the ports.
	if err := json.NewEncoder(stdout).Encode(announced); err != nil {
		return err
	}
	slog.Info("started", "control", announced["control"], "pprof", announced["pprof"], "mode", options.mode)
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	}
}

// service is what the endpoints share.
type service struct {
	behaviour atomic.Pointer[behaviour]
	seen      *seen
	patience  time.Duration
	ended     <-chan struct{}
}

func (s *service) control() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(answer, "ok\n")
	})
	routes.HandleFunc("/mode", func(answer http.ResponseWriter, request *http.Request) {
		if spec := request.URL.Query().Get("set"); spec != "" {
			next, err := parseBehaviour(spec)
			if err != nil {
				http.Error(answer, err.Error(), http.StatusBadRequest)
				return
			}
			s.behaviour.Store(&next)
		}
		_, _ = fmt.Fprintln(answer, s.behaviour.Load().spec)
	})
	routes.HandleFunc("/seen", func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(answer).Encode(s.seen.report(s.behaviour.Load().spec))
	})
	routes.HandleFunc("/forget", func(answer http.ResponseWriter, _ *http.Request) {
		s.seen.forget()
		_, _ = io.WriteString(answer, "forgotten\n")
	})
	return routes
}

// decoy is where a redirect leads. Nobody should come.
func (s *service) decoy() http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		s.seen.askedDecoy(request)
		_, _ = io.WriteString(answer, "stolen credentials\n")
	})
}

// boundedListener closes connections above the bound as soon as they come.
type boundedListener struct {
	net.Listener
	open atomic.Int64
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= connectionsMax {
			return &countedConnection{Conn: accepted, open: &l.open}, nil
		}
		l.open.Add(-1)
		_ = accepted.Close()
	}
}

type countedConnection struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
}

func (c *countedConnection) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}
