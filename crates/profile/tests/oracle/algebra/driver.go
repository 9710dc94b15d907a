package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/google/pprof/driver"
)

// pprof remembers options from one run to the next, so each run gives them all.
var forgotten = []string{
	"-focus=", "-ignore=", "-hide=", "-show=", "-show_from=", "-tagfocus=", "-tagignore=", "-tagshow=", "-taghide=",
	"-prune_from=", "-tagroot=", "-tagleaf=", "-unit=minimum", "-normalize=false",
}

// pprof runs the program with `-proto`, without its being started: the options are its arguments, the files its sources.
// What it says for people is a line, its profile follows.
func pprof(operation string, files []string) (out []byte, err error) {
	// A number that is too large in a tag filter makes it panic.
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	_, query, _ := strings.Cut(operation, "?")
	arguments := append(append([]string{}, forgotten...), "-proto", "-symbolize=none", "-output=out")
	for _, option := range strings.Split(query, "&") {
		argument, err := url.QueryUnescape(option)
		if err != nil {
			return nil, err
		}
		if argument != "" {
			arguments = append(arguments, "-"+argument)
		}
	}
	said, written := &sayings{}, &buffer{}
	set := flag.NewFlagSet("pprof", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	err = driver.PProf(&driver.Options{
		Writer:  writer{written},
		Flagset: &flags{set: set, arguments: append(arguments, files...)},
		Obj:     noBinaries{},
		UI:      said,
	})
	if err != nil {
		return nil, err
	}
	packed, err := gzip.NewReader(written)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(packed)
	return append([]byte(strings.Join(said.unmatched, ",")+"\n"), raw...), err
}

type buffer struct{ bytes.Buffer }

func (b *buffer) Close() error { return nil }

type writer struct{ out io.WriteCloser }

func (w writer) Open(string) (io.WriteCloser, error) { return w.out, nil }

type noBinaries struct{}

func (noBinaries) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errors.New("no binaries here")
}

func (noBinaries) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) {
	return nil, errors.New("no binaries here")
}

// sayings keeps which options matched nothing.
type sayings struct{ unmatched []string }

func (*sayings) ReadLine(string) (string, error)     { return "", io.EOF }
func (*sayings) Print(...interface{})                {}
func (*sayings) IsTerminal() bool                    { return false }
func (*sayings) WantBrowser() bool                   { return false }
func (*sayings) SetAutoComplete(func(string) string) {}

func (s *sayings) PrintErr(words ...interface{}) {
	if option, found := strings.CutSuffix(fmt.Sprint(words...), " expression matched no samples"); found {
		s.unmatched = append(s.unmatched, option)
	}
}

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

func (f *flags) StringList(name, _, usage string) *[]*string {
	values := &[]*string{}
	f.set.Func(name, usage, func(value string) error {
		*values = append(*values, &value)
		return nil
	})
	return values
}

func (f *flags) ExtraUsage() string { return "" }

func (f *flags) AddExtraUsage(string) {}

func (f *flags) Parse(func()) []string {
	if err := f.set.Parse(f.arguments); err != nil {
		return nil
	}
	return f.set.Args()
}
