// Package inside is what the program pprof needs of its surroundings, for running it inside another program.
package inside

import (
	"errors"
	"flag"
	"io"

	"github.com/google/pprof/driver"
)

// Options runs pprof with these arguments, as on its command line, and without binaries or a terminal. What it would write
// into a file goes to out.
func Options(out io.WriteCloser, arguments ...string) *driver.Options {
	set := flag.NewFlagSet("pprof", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	return &driver.Options{
		Writer:  writer{out},
		Flagset: &flags{set, arguments},
		Obj:     noBinaries{},
		UI:      Silence{},
	}
}

type writer struct{ out io.WriteCloser }

func (w writer) Open(string) (io.WriteCloser, error) { return w.out, nil }

type noBinaries struct{}

func (noBinaries) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errors.New("no binaries here")
}

func (noBinaries) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) {
	return nil, errors.New("no binaries here")
}

// Silence is a person who neither asks nor hears anything.
type Silence struct{}

func (Silence) ReadLine(string) (string, error)     { return "", io.EOF }
func (Silence) Print(...interface{})                {}
func (Silence) PrintErr(...interface{})             {}
func (Silence) IsTerminal() bool                    { return false }
func (Silence) WantBrowser() bool                   { return false }
func (Silence) SetAutoComplete(func(string) string) {}

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
