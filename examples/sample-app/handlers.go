package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"slices"
	"strconv"
	"strings"
	"time"
)

const help = `sample-app: a program with something to profile

/burn?seconds=60&cores=1         burn CPU in burnCPU (seconds up to 600, cores up to 64)
/leak?megabytes=100&rate=50      leak memory in leakMemory and keep it (up to 4096, rate per second up to 1024)
/release                         give the leaked memory back
/contend?seconds=60              fight over a mutex in contendMutex (seconds up to 600)
/work?rounds=1000000&garbage=64  do a fixed amount of work, then answer: arithmetic (up to 1e9), kilobytes of garbage (up to 1e6)
/status                          what is going on, as JSON
/healthz                         ok

Profiles are at /debug/pprof/ of the other port (--pprof-addr).
`

// pathOfType gives the last part of a profile type's path under /debug/pprof/.
var pathOfType = map[string]string{
	"heap": "heap", "allocs": "allocs", "goroutine": "goroutine", "mutex": "mutex", "block": "block",
	"threadcreate": "threadcreate", "goroutineleak": "goroutineleak", "cpu": "profile", "trace": "trace",
}

func controlHandler(load *load) http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("/{$}", func(answer http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(answer, help)
	})
	routes.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(answer, "ok\n")
	})
	routes.HandleFunc("/status", func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(answer).Encode(load.status())
	})
	routes.HandleFunc("/burn", func(answer http.ResponseWriter, request *http.Request) {
		numbers := query{request: request}
		seconds := numbers.number("seconds", 60, 1, burnSecondsMax)
		cores := numbers.number("cores", 1, 0, burnCoresMax)
		if numbers.accept(answer) {
			load.burn(cores, time.Duration(seconds*float64(time.Second)))
		}
	})
	routes.HandleFunc("/leak", func(answer http.ResponseWriter, request *http.Request) {
		numbers := query{request: request}
		megabytes := numbers.number("megabytes", 100, 1, leakMegabytesMax)
		rate := numbers.number("rate", 50, 1, leakRateMax)
		if numbers.accept(answer) {
			load.leak(int(megabytes), int(rate))
		}
	})
	routes.HandleFunc("/release", func(answer http.ResponseWriter, _ *http.Request) {
		load.release()
		answer.WriteHeader(http.StatusAccepted)
	})
	routes.HandleFunc("/contend", func(answer http.ResponseWriter, request *http.Request) {
		numbers := query{request: request}
		seconds := numbers.number("seconds", 60, 1, burnSecondsMax)
		if numbers.accept(answer) {
			load.contend(time.Duration(seconds * float64(time.Second)))
		}
	})
	routes.HandleFunc("/work", func(answer http.ResponseWriter, request *http.Request) {
		numbers := query{request: request}
		rounds := numbers.number("rounds", 1e6, 0, workRoundsMax)
		garbage := numbers.number("garbage", 64, 0, workGarbageKilobytesMax)
		if numbers.failed == nil {
			work(int(rounds), int(garbage))
		}
		numbers.accept(answer)
	})
	return routes
}

// pprofHandler serves net/http/pprof from a mux of its own, with faults for tests: types that fail
// and types that the program seems not to have.
func pprofHandler(failTypes, withoutTypes []string) http.Handler {
	routes := http.NewServeMux()
	// Index also serves the named profiles: heap, goroutine, mutex and so on.
	routes.HandleFunc("/debug/pprof/", pprof.Index)
	routes.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	routes.HandleFunc("/debug/pprof/profile", pprof.Profile)
	routes.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	routes.HandleFunc("/debug/pprof/trace", pprof.Trace)
	paths := func(types []string) []string {
		listed := make([]string, 0, len(types))
		for _, one := range types {
			listed = append(listed, pathOfType[one])
		}
		return listed
	}
	failing, missing := paths(failTypes), paths(withoutTypes)
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		last, isProfile := strings.CutPrefix(request.URL.Path, "/debug/pprof/")
		switch {
		case isProfile && slices.Contains(failing, last):
			http.Error(answer, "told to fail", http.StatusInternalServerError)
		case isProfile && slices.Contains(missing, last):
			http.Error(answer, "Unknown profile", http.StatusNotFound)
		default:
			routes.ServeHTTP(answer, request)
		}
	})
}

// query reads bounded numbers from a request and remembers the first that is wrong.
type query struct {
	request *http.Request
	failed  error
}

func (q *query) number(name string, otherwise, low, high float64) float64 {
	text := q.request.URL.Query().Get(name)
	if text == "" {
		return otherwise
	}
	value, err := strconv.ParseFloat(text, 64)
	// Written so that NaN fails.
	inBounds := err == nil && value >= low && value <= high
	if !inBounds && q.failed == nil {
		q.failed = fmt.Errorf("%s is %q, must be a number from %v to %v", name, text, low, high)
	}
	return value
}

func (q *query) accept(answer http.ResponseWriter) bool {
	if q.failed != nil {
		http.Error(answer, q.failed.Error(), http.StatusBadRequest)
		return false
	}
	answer.WriteHeader(http.StatusAccepted)
	return true
}
