// Writes the small profiles of tests/data, exactly as net/http/pprof serves them.
//
//	go build -trimpath -o /tmp/generator crates/profile/tests/generator/main.go
//	/tmp/generator crates/profile/tests/data
package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"path/filepath"
	"runtime"
	runtimepprof "runtime/pprof"
	"sync"
	"time"
)

var kept [][]byte

//go:noinline
func allocate(n int) {
	for i := 0; i < n; i++ {
		kept = append(kept, make([]byte, 16<<10))
	}
}

//go:noinline
func burn(until time.Time) (sum uint64) {
	for time.Now().Before(until) {
		for i := uint64(0); i < 1<<16; i++ {
			sum = sum*31 + i
		}
	}
	return sum
}

func contend(rounds int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for g := 0; g < 4; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < rounds; i++ {
				mu.Lock()
				time.Sleep(100 * time.Microsecond)
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
}

func get(handler http.Handler, target string) []byte {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest("GET", target, nil))
	if recorder.Code != http.StatusOK {
		panic(fmt.Sprintf("%s: %d %s", target, recorder.Code, recorder.Body))
	}
	return recorder.Body.Bytes()
}

func main() {
	directory := os.Args[1]
	write := func(name string, body []byte) {
		if err := os.WriteFile(filepath.Join(directory, name), body, 0o644); err != nil {
			panic(err)
		}
	}

	// Before anything is recorded: whole profiles without a sample.
	write("mutex-empty.pprof", get(pprof.Handler("mutex"), "/debug/pprof/mutex"))

	runtime.MemProfileRate = 1
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	allocate(20)
	contend(20)
	runtime.GC()
	for _, name := range []string{"heap", "allocs", "mutex", "block", "goroutine", "threadcreate"} {
		write(name+".pprof", get(pprof.Handler(name), "/debug/pprof/"+name))
	}

	go runtimepprof.Do(context.Background(), runtimepprof.Labels("tenant", "blue", "path", "/api"), func(context.Context) {
		burn(time.Now().Add(time.Second))
	})
	write("cpu.pprof", get(http.HandlerFunc(pprof.Profile), "/debug/pprof/profile?seconds=1"))

	// What a target answers that has no profile to give.
	write("goroutine-debug-1.txt", get(pprof.Handler("goroutine"), "/debug/pprof/goroutine?debug=1"))
	write("index.html", get(http.HandlerFunc(pprof.Index), "/debug/pprof/"))
	recorder := httptest.NewRecorder()
	pprof.Handler("no-such").ServeHTTP(recorder, httptest.NewRequest("GET", "/debug/pprof/no-such", nil))
	write("not-found.txt", bytes.TrimSpace(recorder.Body.Bytes()))
}
