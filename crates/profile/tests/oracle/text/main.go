// Writes the profiles of a Go program that works a little as text, as net/http/pprof serves them with debug=1: one file
// for each kind into the folder that is its argument.
package main

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"
)

var kept [][]byte

//go:noinline
func allocate(bytes int) {
	for range 64 {
		kept = append(kept, make([]byte, bytes))
	}
}

//go:noinline
func contend() {
	var mutex sync.Mutex
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				mutex.Lock()
				time.Sleep(50 * time.Microsecond)
				mutex.Unlock()
			}
		})
	}
	group.Wait()
}

func main() {
	runtime.MemProfileRate = 4 << 10
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	contend()
	for _, bytes := range []int{48, 1 << 10, 64 << 10} {
		allocate(bytes)
	}
	runtime.GC()
	for _, kind := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		file, err := os.Create(filepath.Join(os.Args[1], kind+".txt"))
		if err == nil {
			err = pprof.Lookup(kind).WriteTo(file, 1)
		}
		if err == nil {
			err = file.Close()
		}
		if err != nil {
			panic(err)
		}
	}
}
