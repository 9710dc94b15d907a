package main

import (
	"context"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// forever as a duration means until replaced or until the program ends.
const forever time.Duration = 0

const (
	kilobyte = 1 << 10
	mebibyte = 1 << 20
	// Smallest page on the machines this runs on: one byte per page makes the memory resident.
	pageBytes = 4096
	// A burner works for its share of each slice. Ten slices fit into the 100 ms over which the kernel
	// counts a container's quota, so a share below the limit is never throttled.
	burnSlice = 10 * time.Millisecond
	// How long the mutex is held each time: long enough that all others wait, with no CPU used.
	holdDuration = time.Millisecond
)

// load holds the trouble that the program makes. Each kind runs at most once: a new order replaces
// the one before.
type load struct {
	contendWorkers int

	burning    activity
	leaking    activity
	contending activity

	burnMillicores atomic.Int64

	leakedMutex sync.Mutex
	leaked      [][]byte
}

type turnsPlan struct {
	burnCores                  float64
	leakMegabytes, leakRate    int
	burn, leak, contend, pause time.Duration
}

type status struct {
	BurningCores    float64 `json:"burning_cores"`
	LeakedMegabytes int     `json:"leaked_megabytes"`
	Leaking         bool    `json:"leaking"`
	Contending      bool    `json:"contending"`
}

func newLoad(ctx context.Context, contendWorkers int) *load {
	made := &load{contendWorkers: contendWorkers}
	for _, one := range []*activity{&made.burning, &made.leaking, &made.contending} {
		one.parent = ctx
	}
	return made
}

// burn uses cores for a while; zero cores stop it.
func (l *load) burn(cores float64, duration time.Duration) {
	if cores <= 0 {
		l.burning.stop()
		return
	}
	workers := int(math.Ceil(cores))
	l.burning.start(duration, func(ctx context.Context) {
		l.burnMillicores.Store(int64(math.Round(cores * 1000)))
		defer l.burnMillicores.Store(0)
		inParallel(workers, func() { burnCPU(ctx, cores/float64(workers)) })
	})
}

// leak adds megabytes to what is retained, up to the bound, at a rate per second.
func (l *load) leak(megabytes, rate int) {
	l.leaking.start(forever, func(ctx context.Context) {
		pace := time.NewTicker(time.Second / time.Duration(rate))
		defer pace.Stop()
		for range megabytes {
			select {
			case <-ctx.Done():
				return
			case <-pace.C:
			}
			if !l.retain(leakMemory()) {
				return
			}
		}
	})
}

// release stops a leak and gives back what is retained, to the kernel too, so that usage falls.
func (l *load) release() {
	l.leaking.stop()
	l.leakedMutex.Lock()
	l.leaked = nil
	l.leakedMutex.Unlock()
	debug.FreeOSMemory()
}

// contend makes goroutines fight over one mutex for a while.
func (l *load) contend(duration time.Duration) {
	l.contending.start(duration, func(ctx context.Context) {
		var fought sync.Mutex
		inParallel(l.contendWorkers, func() { contendMutex(ctx, &fought) })
	})
}

// takeTurns burns, leaks and contends until ctx ends. What a turn leaks is held until its contention
// is over, so that a sampler with an interval of ten seconds cannot miss it, and then released.
func (l *load) takeTurns(ctx context.Context, plan turnsPlan) {
	phases := []struct {
		begin  func()
		length time.Duration
	}{
		{func() { l.burn(plan.burnCores, plan.burn) }, plan.burn},
		{func() { l.leak(plan.leakMegabytes, plan.leakRate) }, plan.leak},
		{func() { l.contend(plan.contend) }, plan.contend},
		{l.release, plan.pause},
	}
	for {
		for _, phase := range phases {
			phase.begin()
			if !sleep(ctx, phase.length) {
				return
			}
		}
	}
}

func (l *load) status() status {
	l.leakedMutex.Lock()
	leaked := len(l.leaked)
	l.leakedMutex.Unlock()
	return status{
		BurningCores:    float64(l.burnMillicores.Load()) / 1000,
		LeakedMegabytes: leaked,
		Leaking:         l.leaking.running(),
		Contending:      l.contending.running(),
	}
}

// stop ends all trouble and waits for it.
func (l *load) stop() {
	l.burning.stop()
	l.leaking.stop()
	l.contending.stop()
}

func (l *load) retain(chunk []byte) bool {
	l.leakedMutex.Lock()
	defer l.leakedMutex.Unlock()
	if len(l.leaked) >= leakMegabytesMax {
		return false
	}
	l.leaked = append(l.leaked, chunk)
	return true
}

// sink keeps the compiler from removing the work of burnCPU.
var sink atomic.Uint64

// burnCPU is what stands on top of the CPU profile.
//
//go:noinline
func burnCPU(ctx context.Context, share float64) {
	busy := time.Duration(share * float64(burnSlice))
	value := uint64(88172645463325252)
	next := time.Now()
	for ctx.Err() == nil {
		for begin := time.Now(); time.Since(begin) < busy; {
			// Some tens of microseconds, so that reading the clock stays out of the profile.
			for range 20_000 {
				value ^= value << 13
				value ^= value >> 7
				value ^= value << 17
			}
		}
		sink.Store(value)
		next = next.Add(burnSlice)
		if behind := time.Since(next); behind > burnSlice {
			next = next.Add(behind)
		}
		time.Sleep(time.Until(next))
	}
}

// work does the same amount of work whenever it is asked: rounds of arithmetic, and garbage. Unlike
// burnCPU, which works for a share of the time, it takes longer in a program that is slowed down.
//
//go:noinline
func work(rounds, garbageKilobytes int) {
	value := uint64(88172645463325252)
	for range rounds {
		value ^= value << 13
		value ^= value >> 7
		value ^= value << 17
	}
	sink.Store(value)
	for range garbageKilobytes {
		garbage.Store(new([kilobyte]byte))
	}
}

// garbage keeps the compiler from leaving what work allocates on the stack.
var garbage atomic.Pointer[[kilobyte]byte]

// leakMemory is what stands on top of the heap. It returns one megabyte that is resident.
//
//go:noinline
func leakMemory() []byte {
	chunk := make([]byte, mebibyte)
	for at := 0; at < len(chunk); at += pageBytes {
		chunk[at] = 1
	}
	return chunk
}

// contendMutex is what stands in the mutex profile, below Unlock.
//
//go:noinline
func contendMutex(ctx context.Context, fought *sync.Mutex) {
	for ctx.Err() == nil {
		fought.Lock()
		time.Sleep(holdDuration)
		fought.Unlock()
	}
}

// activity is a piece of work in the background of which there is at most one.
type activity struct {
	parent context.Context

	mutex  sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

// start replaces what runs by work, which ends when its context does.
func (a *activity) start(duration time.Duration, work func(context.Context)) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.stopLocked()
	var ctx context.Context
	if duration > forever {
		ctx, a.cancel = context.WithTimeout(a.parent, duration)
	} else {
		ctx, a.cancel = context.WithCancel(a.parent)
	}
	done := make(chan struct{})
	a.done = done
	go func() {
		defer close(done)
		work(ctx)
	}()
}

func (a *activity) stop() {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.stopLocked()
}

func (a *activity) running() bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.done == nil {
		return false
	}
	select {
	case <-a.done:
		return false
	default:
		return true
	}
}

func (a *activity) stopLocked() {
	if a.done == nil {
		return
	}
	a.cancel()
	<-a.done
	a.done = nil
}

func inParallel(workers int, work func()) {
	var group sync.WaitGroup
	defer group.Wait()
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			work()
		}()
	}
}

// sleep says whether the whole time passed.
func sleep(ctx context.Context, duration time.Duration) bool {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
