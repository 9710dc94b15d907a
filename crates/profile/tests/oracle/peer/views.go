package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"

	"oracle/inside"
)

// top is pprof's `-top`, from the packed bytes to the text. Nothing is symbolised and no binary is looked for.
func top(files [][]byte) (func() (int, error), error) {
	return func() (int, error) {
		out := &counter{}
		err := driver.PProf(options(files[0], out, nil, "-top", "-output=out"))
		return out.count, err
	}, nil
}

// flame asks the handler of pprof's web interface for its flame graph, as a browser does. The handler makes a copy of the
// profile for each request, from bytes that are not packed.
func flame(files [][]byte) (func() (int, error), error) {
	var handler http.Handler
	keep := func(server *driver.HTTPServerArgs) error {
		handler = server.Handlers["/flamegraph"]
		return nil
	}
	err := driver.PProf(options(files[0], &counter{}, keep, "-http=localhost:0", "-no_browser"))
	return func() (int, error) {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest("GET", "/flamegraph", nil))
		if recorder.Code != http.StatusOK {
			return 0, fmt.Errorf("flame graph: %d", recorder.Code)
		}
		return recorder.Body.Len(), nil
	}, err
}

func options(data []byte, out io.WriteCloser, serve func(*driver.HTTPServerArgs) error, arguments ...string) *driver.Options {
	options := inside.Options(out, append(arguments, "-symbolize=none", "profile")...)
	options.Fetch = fetcher(data)
	options.HTTPServer = serve
	return options
}

type counter struct{ count int }

func (c *counter) Write(bytes []byte) (int, error) {
	c.count += len(bytes)
	return len(bytes), nil
}

func (c *counter) Close() error { return nil }

type fetcher []byte

func (f fetcher) Fetch(string, time.Duration, time.Duration) (*profile.Profile, string, error) {
	parsed, err := profile.ParseData(f)
	return parsed, "", err
}
