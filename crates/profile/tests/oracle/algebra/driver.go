package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/google/pprof/driver"

	"oracle/inside"
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
	options := inside.Options(written, append(arguments, files...)...)
	options.UI = said
	err = driver.PProf(options)
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

// sayings keeps which options matched nothing.
type sayings struct {
	inside.Silence
	unmatched []string
}

func (s *sayings) PrintErr(words ...interface{}) {
	if option, found := strings.CutSuffix(fmt.Sprint(words...), " expression matched no samples"); found {
		s.unmatched = append(s.unmatched, option)
	}
}
