// The oracle of the algebra beyond merging: google/pprof's own library filters, prunes and matches as its standard input
// asks, one request per line, and answers each with one line: "ok", or "error" and why.
//
// A request is an operation with its options, as a URL has them, the file to write, and the file to read, separated by
// tabs. What is written is a line of what the library returned, and the profile as uncompressed protobuf. The operation
// "pprof" is the program itself, with options as on its command line and any number of files.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/google/pprof/profile"
)

// options are what stands behind the question mark of an operation.
type options struct {
	values url.Values
	err    error
}

// pattern compiles an option; nil when it is not given.
func (o *options) pattern(name string) *regexp.Regexp {
	text := o.values.Get(name)
	if text == "" {
		return nil
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		o.err = err
	}
	return compiled
}

// filters are the library's, by their names here. Each does its work and says what the library returned.
var filters = map[string]func(*profile.Profile, *options) string{
	"frames": func(p *profile.Profile, o *options) string {
		return fmt.Sprint(p.FilterSamplesByName(o.pattern("focus"), o.pattern("ignore"), o.pattern("hide"), o.pattern("show")))
	},
	"show_from": func(p *profile.Profile, o *options) string {
		return fmt.Sprint(p.ShowFrom(o.pattern("from")))
	},
	"labels": func(p *profile.Profile, o *options) string {
		return fmt.Sprint(p.FilterTagsByName(o.pattern("show"), o.pattern("hide")))
	},
	"prune": func(p *profile.Profile, o *options) string {
		p.Prune(o.pattern("drop"), o.pattern("keep"))
		return ""
	},
	"prune_from": func(p *profile.Profile, o *options) string {
		p.PruneFrom(o.pattern("from"))
		return ""
	},
	"uninteresting": func(p *profile.Profile, o *options) string {
		o.err = p.RemoveUninteresting()
		return ""
	},
}

func filter(operation, path string) ([]byte, error) {
	name, query, _ := strings.Cut(operation, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := profile.ParseData(data)
	if err != nil {
		return nil, err
	}
	o := &options{values: values}
	matched := filters[name](p, o)
	if o.err != nil {
		return nil, o.err
	}
	out := bytes.NewBufferString(matched + "\n")
	err = p.WriteUncompressed(out)
	return out.Bytes(), err
}

// match reads lines of a pattern and texts, quoted and separated by tabs, and says for each line what Go thinks of it:
// "error", or a digit for each text.
func match(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var out bytes.Buffer
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		for i, field := range fields {
			if fields[i], err = url.QueryUnescape(field); err != nil {
				return nil, err
			}
		}
		compiled, err := regexp.Compile(fields[0])
		if err != nil {
			fmt.Fprintln(&out, "error")
			continue
		}
		for _, text := range fields[1:] {
			if compiled.MatchString(text) {
				out.WriteByte('1')
			} else {
				out.WriteByte('0')
			}
		}
		out.WriteByte('\n')
	}
	return out.Bytes(), lines.Err()
}

// urls reads quoted texts, one a line, and says of each whether pprof would take it for an absolute URL.
func urls(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		text, err := url.QueryUnescape(line)
		if err != nil {
			return nil, err
		}
		u, err := url.Parse(text)
		fmt.Fprintln(&out, err == nil && u.IsAbs())
	}
	return out.Bytes(), nil
}

func answer(line string) error {
	fields := strings.Split(line, "\t")
	var out []byte
	var err error
	switch {
	case fields[0] == "match":
		out, err = match(fields[2])
	case fields[0] == "urls":
		out, err = urls(fields[2])
	case strings.HasPrefix(fields[0], "pprof?"):
		out, err = pprof(fields[0], fields[2:])
	default:
		out, err = filter(fields[0], fields[2])
	}
	if err != nil {
		return err
	}
	return os.WriteFile(fields[1], out, 0o644)
}

func main() {
	requests := bufio.NewScanner(os.Stdin)
	requests.Buffer(nil, 1<<20)
	for requests.Scan() {
		if err := answer(requests.Text()); err != nil {
			fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("ok")
		}
	}
}
