package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"
)

const (
	octets = "application/octet-stream"
	// Where a redirect on this program leads. Nobody should come.
	secretPath = "/admin/secrets"
	// Time between the bytes of a slow answer.
	slowPace = time.Second
	// What a bomb of zeros becomes: more than a checker can take for a profile.
	bombBytes = 1 << 30
)

// profiles answers as the behaviour says. It has no mux, which would clean the paths that it should
// see as they are.
func (s *service) profiles() http.Handler {
	genuine := map[string]http.HandlerFunc{"profile": pprof.Profile, "trace": pprof.Trace}
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		before, finished := s.seen.asked(request)
		defer finished()
		last, isProfile := strings.CutPrefix(request.URL.Path, "/debug/pprof/")
		_, isType := valueTypes[last]
		switch {
		case request.URL.Path == secretPath:
			_, _ = io.WriteString(answer, "stolen secrets\n")
			return
		case !isProfile || !isType && last != "trace":
			http.NotFound(answer, request)
			return
		}
		behave := genuine[last]
		if behave == nil {
			behave = pprof.Handler(last).ServeHTTP
		}
		chosen := s.behaviour.Load().of(last)
		if chosen.name == "busy" {
			if takesTime := last == "profile" || last == "trace"; takesTime && (chosen.number == 0 || before < chosen.number) {
				busy(answer)
				return
			}
			chosen.name = "ok"
		}
		misbehave := modes[chosen.name].answer
		if misbehave == nil {
			behave(answer, request)
			return
		}
		s.misbehave(answer, request, last, chosen, misbehave)
	})
}

// misbehave takes the connection from the HTTP server: most of what follows breaks its rules.
func (s *service) misbehave(answer http.ResponseWriter, request *http.Request, last string, chosen mode, how func(*exchange)) {
	connection, _, err := http.NewResponseController(answer).Hijack()
	if err != nil {
		http.Error(answer, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = connection.Close() }()
	_ = connection.SetDeadline(time.Now().Add(s.patience))
	gone := make(chan struct{})
	go func() {
		// The client says nothing more: what ends this is its going, the deadline or our close.
		_, _ = io.Copy(io.Discard, connection)
		close(gone)
	}()
	how(&exchange{connection: connection, gone: gone, ended: s.ended, mode: chosen, last: last, path: request.URL.Path, seen: s.seen})
}

// busy is what net/http/pprof answers while another profile runs.
func busy(answer http.ResponseWriter) {
	answer.Header().Set("Content-Type", "text/plain; charset=utf-8")
	answer.Header().Set("X-Go-Pprof", "1")
	answer.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(answer, "Could not enable CPU profiling: cpu profiling already in use\n")
}

// exchange is one request whose answer is made byte by byte.
type exchange struct {
	connection net.Conn
	gone       <-chan struct{}
	ended      <-chan struct{}
	mode       mode
	last, path string
	seen       *seen
}

func (e *exchange) types() []valueType {
	if types, known := valueTypes[e.last]; known {
		return types
	}
	// A trace is not of samples; any profile is wrong for it.
	return valueTypes["profile"]
}

// whole is a small valid profile of the type that was asked.
func (e *exchange) whole() []byte { return compress(encodeProfile(e.types(), 100)) }

func (e *exchange) sendBytes(bytes []byte) { _, _ = e.connection.Write(bytes) }

func (e *exchange) send(text string) { e.sendBytes([]byte(text)) }

// headers begins a good answer; more are further header lines.
func (e *exchange) headers(more string) {
	e.send("HTTP/1.1 200 OK\r\nContent-Type: " + octets + "\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n" + more + "\r\n")
}

func (e *exchange) chunk(bytes []byte) {
	e.send(fmt.Sprintf("%x\r\n", len(bytes)))
	e.sendBytes(bytes)
	e.send("\r\n")
}

func (e *exchange) refuse(status, text string) {
	e.send(fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(text), text))
}

// hold keeps the connection open and says nothing until the client goes.
func (e *exchange) hold() {
	select {
	case <-e.gone:
	case <-e.ended:
	}
}

// trickle sends one byte at a time, slowly.
func (e *exchange) trickle(bytes []byte) {
	pace := time.NewTicker(slowPace)
	defer pace.Stop()
	for at := range bytes {
		e.sendBytes(bytes[at : at+1])
		select {
		case <-e.gone:
			return
		case <-e.ended:
			return
		case <-pace.C:
		}
	}
}

func wholeBody(contentType string, bytes []byte) func(*exchange) {
	return func(e *exchange) {
		e.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", contentType, len(bytes)))
		e.sendBytes(bytes)
	}
}

func redirectTo(status, location string) func(*exchange) {
	return func(e *exchange) {
		e.send("HTTP/1.1 " + status + "\r\nLocation: " + location + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}
}

func endlessProfile(e *exchange) {
	e.headers("")
	_ = writeBig(e.connection, e.types(), endless)
}

func endlessChunkedProfile(e *exchange) {
	e.headers("Transfer-Encoding: chunked\r\n")
	_ = writeBig(chunkedWriter{e.connection}, e.types(), endless)
}

func endlessJunk(e *exchange) {
	e.headers("")
	// A gzip header whose file name never ends, in letters.
	e.sendBytes([]byte{0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255})
	e.repeat(strings.Repeat("junk", 4096))
}

func endlessHeaders(e *exchange) {
	e.send("HTTP/1.1 200 OK\r\n")
	e.repeat("X-Header: " + strings.Repeat("more", 256) + "\r\n")
}

// repeat sends the same until the client goes or the deadline passes.
func (e *exchange) repeat(text string) {
	for {
		if _, err := io.WriteString(e.connection, text); err != nil {
			return
		}
	}
}

func stallAfterHeaders(e *exchange) {
	e.headers("Transfer-Encoding: chunked\r\n")
	e.hold()
}

func stallInBody(e *exchange) {
	bytes := e.whole()
	e.headers(fmt.Sprintf("Content-Length: %d\r\n", len(bytes)))
	e.sendBytes(bytes[:len(bytes)/2])
	e.hold()
}

func slowBody(e *exchange) {
	bytes := e.whole()
	e.headers(fmt.Sprintf("Content-Length: %d\r\n", len(bytes)))
	e.trickle(bytes)
}

func slowHeaders(e *exchange) {
	e.trickle([]byte("HTTP/1.1 200 OK\r\nContent-Type: " + octets + "\r\nX-Padding: " + strings.Repeat("slow", 1024) + "\r\n\r\n"))
}

func gzipBomb(e *exchange) {
	e.headers("Transfer-Encoding: chunked\r\n")
	if writeZeros(chunkedWriter{e.connection}, bombBytes) == nil {
		e.send("0\r\n\r\n")
	}
}

func wrongType(e *exchange) {
	other := "goroutine"
	if e.last == other {
		other = "heap"
	}
	wholeBody(octets, compress(encodeProfile(valueTypes[other], 3)))(e)
}

func truncatedChunks(e *exchange) {
	bytes := e.whole()
	e.headers("Transfer-Encoding: chunked\r\n")
	// All of the body: only the last chunk is missing, so the bytes themselves look whole.
	e.chunk(bytes)
}

func truncatedLength(e *exchange) {
	bytes := e.whole()
	e.headers(fmt.Sprintf("Content-Length: %d\r\n", 2*len(bytes)))
	e.sendBytes(bytes)
}

func truncatedClose(e *exchange) {
	bytes := e.whole()
	e.headers("")
	e.sendBytes(bytes[:len(bytes)/2])
}

func resetInBody(e *exchange) {
	bytes := e.whole()
	e.headers(fmt.Sprintf("Content-Length: %d\r\n", len(bytes)))
	e.sendBytes(bytes[:len(bytes)/2])
	if counted, ok := e.connection.(*countedConnection); ok {
		if overTCP, ok := counted.Conn.(*net.TCPConn); ok {
			// With a linger of zero, closing resets.
			_ = overTCP.SetLinger(0)
		}
	}
}

func lengthTooShort(e *exchange) {
	bytes := e.whole()
	e.headers(fmt.Sprintf("Content-Length: %d\r\n", len(bytes)/2))
	e.sendBytes(bytes)
}

func twoLengths(e *exchange) {
	bytes := e.whole()
	e.headers(fmt.Sprintf("Content-Length: %d\r\nContent-Length: %d\r\n", len(bytes), len(bytes)/2))
	e.sendBytes(bytes)
}

func bigProfile(e *exchange) {
	e.headers("Transfer-Encoding: chunked\r\n")
	hash := sha256.New()
	counted := &countingWriter{}
	if writeBig(io.MultiWriter(chunkedWriter{e.connection}, hash, counted), e.types(), int64(e.mode.number)<<20) == nil {
		// Said before the last chunk: whoever has the whole body can ask for its sum.
		e.seen.sent(e.path, body{Bytes: counted.bytes, SHA256: hex.EncodeToString(hash.Sum(nil))})
		e.send("0\r\n\r\n")
	}
}

// chunkedWriter frames each write as one chunk.
type chunkedWriter struct{ out io.Writer }

func (w chunkedWriter) Write(bytes []byte) (int, error) {
	// An empty chunk would be the last one.
	if len(bytes) == 0 {
		return 0, nil
	}
	if _, err := fmt.Fprintf(w.out, "%x\r\n", len(bytes)); err != nil {
		return 0, err
	}
	written, err := w.out.Write(bytes)
	if err == nil {
		_, err = io.WriteString(w.out, "\r\n")
	}
	return written, err
}

type countingWriter struct{ bytes int64 }

func (w *countingWriter) Write(bytes []byte) (int, error) {
	w.bytes += int64(len(bytes))
	return len(bytes), nil
}
