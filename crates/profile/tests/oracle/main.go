// The oracle: google/pprof's own library does what its standard input asks, one request per line, and answers each with
// one line: "ok", or "error" and why.
//
// A request is an operation, the file to write (uncompressed protobuf), and the files to read, separated by tabs.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/pprof/profile"
)

// parse reads profile.proto only: the legacy formats, which profile.Parse falls back to, are not what is compared.
func parse(path string) (*profile.Profile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) >= 2 && data[0] == 0x1f && data[1] == 0x8b {
		reader, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		if data, err = io.ReadAll(reader); err != nil {
			return nil, err
		}
	}
	parsed, err := profile.ParseUncompressed(data)
	if err != nil {
		return nil, err
	}
	return parsed, parsed.CheckValid()
}

func run(operation string, sources []*profile.Profile) (*profile.Profile, error) {
	switch operation {
	case "write":
		return sources[0], nil
	case "compact":
		return sources[0].Compact(), nil
	case "merge":
		return profile.Merge(sources)
	case "base", "diff_base", "normalize":
		base := sources[1]
		if operation == "diff_base" {
			base.SetLabel("pprof::base", []string{"true"})
		}
		if operation == "normalize" {
			if err := sources[0].Normalize(base); err != nil {
				return nil, err
			}
		}
		base.Scale(-1)
		return profile.Merge(sources)
	}
	return nil, fmt.Errorf("no operation %q", operation)
}

func answer(line string) error {
	fields := strings.Split(line, "\t")
	var sources []*profile.Profile
	for _, path := range fields[2:] {
		source, err := parse(path)
		if err != nil {
			return err
		}
		sources = append(sources, source)
	}
	result, err := run(fields[0], sources)
	if err != nil {
		return err
	}
	out, err := os.Create(fields[1])
	if err != nil {
		return err
	}
	if err := result.WriteUncompressed(out); err != nil {
		return err
	}
	return out.Close()
}

func main() {
	requests := bufio.NewScanner(os.Stdin)
	for requests.Scan() {
		if err := answer(requests.Text()); err != nil {
			fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("ok")
		}
	}
}
