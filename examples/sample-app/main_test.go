package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const testDeadline = 30 * time.Second

func TestBurnCPUIsOnTopOfTheCPUProfile(t *testing.T) {
	app := startApp(t)
	app.order(t, "/burn?seconds=60&cores=1", http.StatusAccepted)
	if first := topFunction(t, app.profile(t, "profile?seconds=1"), "cpu"); first.name != "main.burnCPU" {
		t.Fatalf("top of the CPU profile is %v", first)
	}
	app.order(t, "/burn?cores=0", http.StatusAccepted)
	app.await(t, func(now status) bool { return now.BurningCores == 0 })
}

func TestBurnHoldsItsShareOfACore(t *testing.T) {
	app := startApp(t)
	app.order(t, "/burn?seconds=60&cores=0.45", http.StatusAccepted)
	first := topFunction(t, app.profile(t, "profile?seconds=2"), "cpu")
	// Wide on purpose: the machine may be busy. It tells a share from none and from a whole core.
	if cores := first.flat / 2e9; first.name != "main.burnCPU" || cores < 0.15 || cores > 0.75 {
		t.Fatalf("0.45 cores were asked, %v has %.2f", first.name, cores)
	}
}

func TestLeakMemoryIsOnTopOfTheHeapUntilReleased(t *testing.T) {
	app := startApp(t)
	app.order(t, "/leak?megabytes=64&rate=1000", http.StatusAccepted)
	app.await(t, func(now status) bool { return now.LeakedMegabytes == 64 })
	first := topFunction(t, app.profile(t, "heap"), "inuse_space")
	// The heap profile is that of the last collection, so part of the leak may not show yet.
	if first.name != "main.leakMemory" || first.flat < 16*mebibyte {
		t.Fatalf("top of the heap is %v", first)
	}
	app.order(t, "/release", http.StatusAccepted)
	app.await(t, func(now status) bool { return now.LeakedMegabytes == 0 && !now.Leaking })
	if raw := pprofTop(t, app.profile(t, "heap"), "inuse_space"); strings.Contains(raw, "main.leakMemory") {
		t.Fatalf("released memory is still in the heap:\n%s", raw)
	}
}

func TestContendMutexIsInTheMutexAndBlockProfiles(t *testing.T) {
	app := startApp(t)
	app.order(t, "/contend?seconds=60", http.StatusAccepted)
	app.await(t, func(now status) bool { return now.Contending })
	for _, name := range []string{"mutex", "block"} {
		eventually(t, name+" profile with contendMutex", func() bool {
			return strings.Contains(pprofTop(t, app.profile(t, name), "delay"), "main.contendMutex")
		})
	}
}

func TestTurnsMakeEveryKindOfTroubleAndStayBounded(t *testing.T) {
	app := startApp(t, "--turns", "--burn-duration=300ms", "--leak-duration=300ms", "--contend-duration=300ms",
		"--leak-max-megabytes=20", "--leak-rate=1000")
	for range 2 {
		app.await(t, func(now status) bool { return now.BurningCores == 1 })
		app.await(t, func(now status) bool { return now.LeakedMegabytes == 20 && now.Contending })
		app.await(t, func(now status) bool {
			if now.LeakedMegabytes > 20 {
				t.Fatalf("more is leaked than the bound: %v", now)
			}
			return now.LeakedMegabytes == 0
		})
	}
}

func TestFaultsHitOnlyTheTypesTheyName(t *testing.T) {
	app := startApp(t, "--fail-types=mutex,cpu", "--without=goroutineleak,block")
	for path, want := range map[string]int{
		"heap": 200, "goroutine": 200, "allocs": 200, "threadcreate": 200, "trace?seconds=0.1": 200,
		"mutex": 500, "profile?seconds=1": 500, "goroutineleak": 404, "block": 404, "no-such-type": 404,
	} {
		if got, _ := get(t, "http://"+app.pprof+"/debug/pprof/"+path); got != want {
			t.Errorf("%s answers %d, want %d", path, got, want)
		}
	}
}

func TestNumbersOutOfBoundsAreRefused(t *testing.T) {
	app := startApp(t)
	for _, path := range []string{
		"/burn?seconds=601", "/burn?seconds=0", "/burn?cores=65", "/burn?cores=NaN", "/burn?cores=-1", "/burn?seconds=x",
		"/leak?megabytes=4097", "/leak?rate=0", "/leak?megabytes=NaN", "/contend?seconds=601",
		"/work?rounds=1e10", "/work?garbage=-1",
	} {
		app.order(t, path, http.StatusBadRequest)
	}
	app.order(t, "/", http.StatusOK)
	app.order(t, "/healthz", http.StatusOK)
	app.order(t, "/work?rounds=1000&garbage=8", http.StatusAccepted)
	app.order(t, "/nothing-here", http.StatusNotFound)
	app.await(t, func(now status) bool { return now == status{} })
}

func TestEndsWhenStdinCloses(t *testing.T) {
	app := startApp(t)
	_ = app.stdin.Close()
	app.awaitEnd(t)
}

func TestEndsOnSIGTERMWhileACPUProfileRuns(t *testing.T) {
	app := startApp(t)
	answered := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + app.pprof + "/debug/pprof/profile?seconds=300")
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		answered <- err
	}()
	eventually(t, "a CPU profile that runs", func() bool {
		_, stacks := get(t, "http://"+app.pprof+"/debug/pprof/goroutine?debug=1")
		return bytes.Contains(stacks, []byte("pprof.Profile+"))
	})
	if err := app.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	app.awaitEnd(t)
	if err := <-answered; err == nil {
		t.Fatal("a cut CPU profile looked whole")
	}
}

func TestEnvironmentSetsWhatFlagsDoNot(t *testing.T) {
	environment := func(name string) (string, bool) {
		value, found := map[string]string{"BURN_CORES": "0.45", "PPROF_ADDR": "127.0.0.1:6060", "TURNS": "true", "LEAK_RATE": "7"}[name]
		return value, found
	}
	parsed, err := parseOptions([]string{"--leak-rate=9"}, environment)
	if err != nil || parsed.burnCores != 0.45 || parsed.pprofAddr != "127.0.0.1:6060" || !parsed.turns || parsed.leakRate != 9 {
		t.Fatalf("parsed %+v, %v", parsed, err)
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for argument, want := range map[string]string{
		"--burn-cores=100": "burn-cores", "--burn-cores=NaN": "burn-cores", "--leak-megabytes=-1": "leak-megabytes",
		"--burn-duration=0s": "burn-duration", "--fail-types=secrets": "secrets", "stray": "stray",
	} {
		_, err := parseOptions([]string{argument}, func(string) (string, bool) { return "", false })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v", argument, err)
		}
	}
}

// app is the program as a process of its own: burning and leaking in the test's process would show in
// the profiles of the test after it.
type app struct {
	control, pprof string
	stdin          io.Closer
	process        *os.Process
	ended          chan error
}

// program is the built program, as it goes into the image.
var program string

func TestMain(m *testing.M) {
	os.Exit(buildAndTest(m))
}

func buildAndTest(m *testing.M) int {
	folder, err := os.MkdirTemp("", "sample-app-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	program = filepath.Join(folder, "sample-app")
	build := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v: %s", err, output)
		return 1
	}
	return m.Run()
}

func startApp(t *testing.T, arguments ...string) *app {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*testDeadline)
	command := exec.CommandContext(ctx, program, append([]string{"--addr=127.0.0.1:0", "--pprof-addr=127.0.0.1:0", "--parent-watch"}, arguments...)...)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var announced struct{ Control, Pprof string }
	if err := json.NewDecoder(stdout).Decode(&announced); err != nil {
		t.Fatalf("no announcement: %v", err)
	}
	started := &app{control: announced.Control, pprof: announced.Pprof, stdin: stdin, process: command.Process, ended: make(chan error, 1)}
	go func() { started.ended <- command.Wait() }()
	t.Cleanup(func() {
		cancel()
		started.ended <- <-started.ended
	})
	return started
}

func (a *app) awaitEnd(t *testing.T) {
	t.Helper()
	select {
	case err := <-a.ended:
		a.ended <- err
		if err != nil {
			t.Fatalf("ended with %v", err)
		}
	case <-time.After(testDeadline):
		t.Fatal("does not end")
	}
}

func (a *app) order(t *testing.T, path string, want int) {
	t.Helper()
	if got, body := get(t, "http://"+a.control+path); got != want {
		t.Fatalf("%s answers %d %s, want %d", path, got, body, want)
	}
}

func (a *app) await(t *testing.T, holds func(status) bool) {
	t.Helper()
	var last status
	eventually(t, "status", func() bool {
		last = status{}
		_, body := get(t, "http://"+a.control+"/status")
		if err := json.Unmarshal(body, &last); err != nil {
			t.Fatal(err)
		}
		return holds(last)
	})
}

func (a *app) profile(t *testing.T, path string) string {
	t.Helper()
	code, body := get(t, "http://"+a.pprof+"/debug/pprof/"+path)
	if code != http.StatusOK {
		t.Fatalf("%s answers %d %s", path, code, body)
	}
	file := filepath.Join(t.TempDir(), "profile.pprof")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	client := http.Client{Timeout: testDeadline}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

type row struct {
	name string
	flat float64
}

// topFunction reads the first row of go tool pprof: the real reader of these files.
func topFunction(t *testing.T, file, sampleType string) row {
	t.Helper()
	raw := pprofTop(t, file, sampleType)
	first := regexp.MustCompile(`(?m)^\s*(\d+)(?:ns|B)?\s+[\d.]+%\s+[\d.]+%\s+\d+(?:ns|B)?\s+[\d.]+%\s+(\S+)`).FindStringSubmatch(raw)
	if first == nil {
		t.Fatalf("no rows in:\n%s", raw)
	}
	flat, err := strconv.ParseFloat(first[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return row{name: first[2], flat: flat}
}

func pprofTop(t *testing.T, file, sampleType string) string {
	t.Helper()
	unit := "ns"
	if strings.HasSuffix(sampleType, "space") {
		unit = "B"
	}
	command := exec.Command("go", "tool", "pprof", "-top", "-nodecount=1000", "-nodefraction=0", "-symbolize=none", "-sample_index="+sampleType, "-unit="+unit, file)
	var output, failure bytes.Buffer
	command.Stdout, command.Stderr = &output, &failure
	if err := command.Run(); err != nil {
		t.Fatalf("go tool pprof: %v: %s", err, failure.String())
	}
	return output.String()
}

// eventually asks until the answer is yes or the deadline passes.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(testDeadline); time.Now().Before(end); <-poll.C {
		if holds() {
			return
		}
	}
	t.Fatalf("not within %s: %s", testDeadline, what)
}
