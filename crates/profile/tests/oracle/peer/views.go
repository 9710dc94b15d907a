package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
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
	return &driver.Options{
		Writer:     writer{out},
		Flagset:    &flags{set: flag.NewFlagSet("pprof", flag.ContinueOnError), arguments: append(arguments, "-symbolize=none", "profile")},
		Fetch:      fetcher(data),
		Obj:        noBinaries{},
		UI:         silence{},
		HTTPServer: serve,
	}
}

type counter struct{ count int }

func (c *counter) Write(bytes []byte) (int, error) {
	c.count += len(bytes)
	return len(bytes), nil
}

func (c *counter) Close() error { return nil }

type writer struct{ out io.WriteCloser }

func (w writer) Open(string) (io.WriteCloser, error) { return w.out, nil }

type fetcher []byte

func (f fetcher) Fetch(string, time.Duration, time.Duration) (*profile.Profile, string, error) {
	parsed, err := profile.ParseData(f)
	return parsed, "", err
}

type noBinaries struct{}

func (noBinaries) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errors.New("no binaries here")
}

func (noBinaries) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) {
	return nil, errors.New("no binaries here")
}

type silence struct{}

func (silence) ReadLine(string) (string, error)     { return "", io.EOF }
func (silence) Print(...interface{})                {}
func (silence) PrintErr(...interface{})             {}
func (silence) IsTerminal() bool                    { return false }
func (silence) WantBrowser() bool                   { return false }
func (silence) SetAutoComplete(func(string) string) {}

// flags is a flag set with the arguments that pprof would find on its command line.
type flags struct {
	set       *flag.FlagSet
	arguments []string
}

func (f *flags) Bool(name string, value bool, usage string) *bool {
	return f.set.Bool(name, value, usage)
}

func (f *flags) Int(name string, value int, usage string) *int {
	return f.set.Int(name, value, usage)
}

func (f *flags) Float64(name string, value float64, usage string) *float64 {
	return f.set.Float64(name, value, usage)
}

func (f *flags) String(name, value, usage string) *string {
	return f.set.String(name, value, usage)
}

func (f *flags) StringList(name, value, usage string) *[]*string {
	return &[]*string{f.set.String(name, value, usage)}
}

func (f *flags) ExtraUsage() string { return "" }

func (f *flags) AddExtraUsage(string) {}

func (f *flags) Parse(func()) []string {
	if err := f.set.Parse(f.arguments); err != nil {
		return nil
	}
	return f.set.Args()
}
