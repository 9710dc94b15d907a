package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const testDeadline = 30 * time.Second

func TestGoodModesAreReadByGoToolPprof(t *testing.T) {
	under := start(t)
	for _, mode := range []string{"ok", "plain", "close", "empty", "big:3"} {
		under.set(t, mode)
		for last, types := range valueTypes {
			if mode == "ok" && (last == "goroutineleak" || last == "profile") {
				// The first is not in every Go, the second takes its time: below.
				continue
			}
			answer, body, err := under.get(t, "/debug/pprof/"+last)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("%s %s: %v %v", mode, last, answer, err)
			}
			shown := pprofTop(t, body, types[len(types)-1].name)
			if mode != "ok" && mode != "empty" && !strings.Contains(shown, "main.hostile") {
				t.Errorf("%s %s shows:\n%s", mode, last, shown)
			}
			if mode == "empty" && strings.Contains(shown, "main.hostile") {
				t.Errorf("%s %s is not empty:\n%s", mode, last, shown)
			}
		}
	}
}

func TestBigIsIncompressibleAndItsSumIsKnown(t *testing.T) {
	under := start(t)
	under.set(t, "big:5")
	_, first, err := under.get(t, "/debug/pprof/heap")
	if err != nil || len(first) < 5<<20 || len(compress(first)) < len(first)*99/100 {
		t.Fatalf("%d bytes, %d compressed, %v", len(first), len(compress(first)), err)
	}
	sum := sha256.Sum256(first)
	if sent := under.seen(t).Bodies["/debug/pprof/heap"]; sent.SHA256 != hex.EncodeToString(sum[:]) || sent.Bytes != int64(len(first)) {
		t.Fatalf("said to have sent %+v", sent)
	}
	if _, second, err := under.get(t, "/debug/pprof/heap"); err != nil || !bytes.Equal(first, second) {
		t.Fatalf("the second is another: %v", err)
	}
}

func TestRedirectsLeadToWhereNobodyShouldGo(t *testing.T) {
	under := start(t)
	for mode, want := range map[string]string{
		"redirect":      "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
		"redirect-path": secretPath,
		"redirect-url:http://" + under.decoy + "/x": "http://" + under.decoy + "/x",
	} {
		under.set(t, mode)
		answer, _, err := under.get(t, "/debug/pprof/heap")
		if err != nil || answer.StatusCode/100 != 3 || answer.Header.Get("Location") != want {
			t.Errorf("%s: %v %v", mode, answer, err)
		}
	}
	if now := under.seen(t); len(now.Decoy) != 0 || now.Requests[secretPath] != 0 {
		t.Fatalf("seen %+v though nothing was followed", now)
	}
	// A client that follows is found out, on both ways.
	under.set(t, "redirect-url:http://"+under.decoy+"/x")
	follow(t, "http://"+under.pprof+"/debug/pprof/heap")
	under.set(t, "redirect-path")
	follow(t, "http://"+under.pprof+"/debug/pprof/heap")
	if now := under.seen(t); now.Decoy["/x"] != 1 || now.Requests[secretPath] != 1 {
		t.Fatalf("seen %+v", now)
	}
}

func TestTruncatedBodiesBreakWhatFramesThem(t *testing.T) {
	under := start(t)
	for _, mode := range []string{"truncated", "truncated-length", "reset"} {
		under.set(t, mode)
		if _, body, err := under.get(t, "/debug/pprof/heap"); err == nil {
			t.Errorf("%s: %d bytes look whole", mode, len(body))
		}
	}
	// Framed well enough for a client; only gzip's own end is missing.
	for _, mode := range []string{"truncated-close", "wrong-length"} {
		under.set(t, mode)
		_, body, err := under.get(t, "/debug/pprof/heap")
		if err != nil || len(body) == 0 {
			t.Errorf("%s: %v", mode, err)
		}
		if _, err := gunzip(body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: gzip says %v", mode, err)
		}
	}
	under.set(t, "two-lengths")
	if raw := under.raw(t, "/debug/pprof/heap", 1<<20); strings.Count(raw, "Content-Length") != 2 {
		t.Errorf("two-lengths sends %q", raw)
	}
}

func TestWrongBodiesAreWhatTheyAreCalled(t *testing.T) {
	under := start(t)
	for mode, holds := range map[string]func([]byte) bool{
		"html":       func(body []byte) bool { return bytes.HasPrefix(body, []byte("<!DOCTYPE html>")) },
		"zero":       func(body []byte) bool { return len(body) == 0 },
		"wrong-type": func(body []byte) bool { return strings.Contains(pprofTop(t, body, "goroutine"), "main.hostile") },
		"trailing": func(body []byte) bool {
			_, err := gunzip(body)
			return errors.Is(err, gzip.ErrHeader)
		},
		"sample-bomb": func(body []byte) bool {
			raw, err := gunzip(body)
			return err == nil && len(body) < 8<<10 && len(raw) > 4<<20
		},
		"gzip-bomb": func(body []byte) bool {
			unpacker, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				return false
			}
			count, err := io.Copy(io.Discard, unpacker)
			return err == nil && len(body) < 2<<20 && count == bombBytes
		},
	} {
		under.set(t, mode)
		answer, body, err := under.get(t, "/debug/pprof/heap")
		if err != nil || answer.StatusCode != http.StatusOK || !holds(body) {
			t.Errorf("%s: %v %v, %d bytes", mode, answer, err, len(body))
		}
	}
	under.set(t, "garbage")
	if answer, _, err := under.get(t, "/debug/pprof/heap"); err == nil {
		t.Errorf("garbage is taken for HTTP: %v", answer)
	}
}

func TestEndlessBodiesGoOnUntilTheClientGoes(t *testing.T) {
	const enough = 8 << 20
	under := start(t)
	for _, mode := range []string{"endless", "endless-chunked", "endless-junk", "endless-headers"} {
		under.set(t, mode)
		if raw := under.raw(t, "/debug/pprof/heap", enough); len(raw) != enough {
			t.Errorf("%s ends after %d bytes", mode, len(raw))
		}
	}
	under.awaitNoneOpen(t)
}

func TestSilentAnswersEndWhenTheClientGoes(t *testing.T) {
	under := start(t)
	for mode, want := range map[string]string{"silent": "", "stall": "\r\n\r\n", "stall-body": "\r\n\r\n\x1f\x8b"} {
		under.set(t, mode)
		connection, reader := under.ask(t, "/debug/pprof/heap")
		under.await(t, func(now report) bool { return now.Open == 1 })
		if want != "" {
			readUntil(t, reader, want)
		}
		// What has come is all that comes: nothing more within a moment that any answer would fit in.
		_ = connection.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if rest, err := io.ReadAll(reader); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %d bytes more, %v", mode, len(rest), err)
		}
		_ = connection.Close()
		under.awaitNoneOpen(t)
	}
}

func TestSlowAnswersComeByteByByte(t *testing.T) {
	under := start(t)
	for mode, want := range map[string]string{"slow": "\r\n\r\n", "slow-headers": ""} {
		under.set(t, mode)
		connection, reader := under.ask(t, "/debug/pprof/heap")
		readUntil(t, reader, want)
		_ = connection.SetReadDeadline(time.Now().Add(slowPace / 2))
		if rest, err := io.ReadAll(reader); len(rest) > 1 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %d bytes at once, %v", mode, len(rest), err)
		}
		_ = connection.Close()
		under.awaitNoneOpen(t)
	}
}

func TestErrorsAreThoseOfAProgram(t *testing.T) {
	under := start(t)
	for _, one := range []struct {
		mode, path string
		want       int
	}{
		{"busy", "profile?seconds=1", 500}, {"busy", "trace?seconds=1", 500}, {"busy", "heap", 200},
		{"not-found", "heap", 404}, {"not-found", "profile", 404}, {"status:503", "heap", 503},
		{"mixed", "heap", 200}, {"heap=status:418,mutex=not-found", "heap", 418},
		{"heap=status:418,mutex=not-found", "mutex", 404}, {"heap=status:418,mutex=not-found", "goroutine", 200},
		{"ok", "no-such", 404}, {"ok", "../secrets", 404},
	} {
		under.set(t, one.mode)
		if answer, _, err := under.get(t, "/debug/pprof/"+one.path); err != nil || answer.StatusCode != one.want {
			t.Errorf("%s of %s: %v %v", one.mode, one.path, answer, err)
		}
	}
	under.set(t, "mixed")
	if _, _, err := under.get(t, "/debug/pprof/profile?seconds=1"); err == nil {
		t.Error("the CPU profile of mixed is whole")
	}
	under.set(t, "busy")
	_, text, _ := under.get(t, "/debug/pprof/profile?seconds=1")
	if want := "Could not enable CPU profiling: cpu profiling already in use\n"; string(text) != want {
		t.Errorf("busy says %q", text)
	}
}

func TestBusyForANumberOfTimes(t *testing.T) {
	under := start(t)
	under.set(t, "busy:2")
	for at, want := range []int{500, 500, 200} {
		if answer, _, err := under.get(t, "/debug/pprof/profile?seconds=1"); err != nil || answer.StatusCode != want {
			t.Fatalf("request %d: %v %v", at, answer, err)
		}
	}
	if now := under.seen(t); now.Requests["/debug/pprof/profile"] != 3 || now.URIs["/debug/pprof/profile?seconds=1"] != 3 || len(now.Arrivals) != 3 {
		t.Fatalf("seen %+v", now)
	}
	if code, _ := under.controlGet(t, "/forget"); code != http.StatusOK {
		t.Fatal(code)
	}
	if now := under.seen(t); len(now.Requests)+len(now.URIs)+len(now.Arrivals) != 0 {
		t.Fatalf("not forgotten: %+v", now)
	}
}

func TestWrongModesAreNamed(t *testing.T) {
	under := start(t)
	for _, spec := range []string{"nice", "heap=nice", "secrets=ok", "heap", "big", "big:0", "big:9999", "status:99", "stall:1", "redirect-url", "busy:0", "heap=ok,mutex"} {
		if code, _ := under.controlGet(t, "/mode?set="+url.QueryEscape(spec)); code != http.StatusBadRequest {
			t.Errorf("%s is answered with %d", spec, code)
		}
	}
	if _, now := under.controlGet(t, "/mode"); now != "ok\n" {
		t.Errorf("a wrong mode changed it to %q", now)
	}
}

func TestCountsAreBounded(t *testing.T) {
	counts := map[string]int{}
	for at := range 10 * urisMax {
		count(counts, strings.Repeat("x", 2*uriBytesMax-at%urisMax)+string(rune('a'+at%26)))
		count(counts, "/"+hex.EncodeToString([]byte{byte(at), byte(at >> 8)}))
	}
	if len(counts) > urisMax+1 || counts["other"] == 0 {
		t.Fatalf("%d counts", len(counts))
	}
}

// program is the service on ports of its own.
type program struct{ control, pprof, decoy string }

func start(t *testing.T) program {
	t.Helper()
	stdin, closer := io.Pipe()
	reader, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run([]string{"--addr=127.0.0.1:0", "--pprof-addr=127.0.0.1:0", "--decoy-addr=127.0.0.1:0", "--parent-watch"}, stdin, stdout)
	}()
	t.Cleanup(func() {
		_ = closer.Close()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	var announced struct{ Control, Pprof, Decoy string }
	if err := json.NewDecoder(reader).Decode(&announced); err != nil {
		t.Fatal(err)
	}
	return program{control: announced.Control, pprof: announced.Pprof, decoy: announced.Decoy}
}

func (p program) controlGet(t *testing.T, path string) (int, string) {
	t.Helper()
	answer, err := (&http.Client{Timeout: testDeadline}).Get("http://" + p.control + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func (p program) set(t *testing.T, mode string) {
	t.Helper()
	if code, text := p.controlGet(t, "/mode?set="+url.QueryEscape(mode)); code != http.StatusOK {
		t.Fatalf("%s: %d %s", mode, code, text)
	}
}

func (p program) seen(t *testing.T) report {
	t.Helper()
	_, text := p.controlGet(t, "/seen")
	var now report
	if err := json.Unmarshal([]byte(text), &now); err != nil {
		t.Fatal(err)
	}
	return now
}

func (p program) await(t *testing.T, holds func(report) bool) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(testDeadline); time.Now().Before(end); <-poll.C {
		if holds(p.seen(t)) {
			return
		}
	}
	t.Fatalf("not within %s: %+v", testDeadline, p.seen(t))
}

func (p program) awaitNoneOpen(t *testing.T) {
	t.Helper()
	p.await(t, func(now report) bool { return now.Open == 0 })
}

// get is a careful client: it follows nothing and unpacks nothing.
func (p program) get(t *testing.T, path string) (*http.Response, []byte, error) {
	t.Helper()
	client := http.Client{
		Timeout:       testDeadline,
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Get("http://" + p.pprof + path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return answer, body, err
}

func (p program) ask(t *testing.T, path string) (net.Conn, *bufio.Reader) {
	t.Helper()
	connection, err := net.DialTimeout("tcp", p.pprof, testDeadline)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(testDeadline))
	if _, err := io.WriteString(connection, "GET "+path+" HTTP/1.1\r\nHost: pod\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return connection, bufio.NewReader(connection)
}

func (p program) raw(t *testing.T, path string, bytesMax int64) string {
	t.Helper()
	connection, reader := p.ask(t, path)
	defer func() { _ = connection.Close() }()
	raw, err := io.ReadAll(io.LimitReader(reader, bytesMax))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func readUntil(t *testing.T, reader *bufio.Reader, end string) {
	t.Helper()
	var read []byte
	for !strings.HasSuffix(string(read), end) {
		next, err := reader.ReadByte()
		if err != nil {
			t.Fatalf("%q, then %v", read, err)
		}
		read = append(read, next)
	}
}

func follow(t *testing.T, from string) {
	t.Helper()
	answer, err := (&http.Client{Timeout: testDeadline}).Get(from)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
}

func gunzip(body []byte) ([]byte, error) {
	unpacker, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unpacker)
}

func pprofTop(t *testing.T, body []byte, sampleType string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "profile.pprof")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "tool", "pprof", "-top", "-symbolize=none", "-sample_index="+sampleType, file)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("go tool pprof: %v: %s", err, output)
	}
	return string(output)
}
