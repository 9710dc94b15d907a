// The oracle: google/pprof's own library does what its standard input asks, one request per line, and answers each with
// one line: "ok", or "error" and why.
//
// A request is an operation, the file to write, and the files to read, separated by tabs. Profiles of every format that
// the library knows are read, and uncompressed protobuf is written.
//
// An operation "each-…" reads one file of many profiles, each after its length in four bytes (little end first), and
// writes one of as many answers: a length and the profile, or the length 0xffffffff, then the length of an error and
// the error.
//
// With the argument "serve" it reads such profiles from its standard input instead, and answers each at once, with what
// "write" and "compact" make of it: for a fuzzer, which has one profile at a time.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/google/pprof/profile"
)

func parse(path string) (*profile.Profile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return profile.ParseData(data)
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

// one reads one profile of many and does the operation. The library must not panic, and if it does, that is a refusal.
func one(operation string, data []byte) (written []byte, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	source, err := profile.ParseData(data)
	if err != nil {
		return nil, err
	}
	result, err := run(operation, []*profile.Profile{source})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = result.WriteUncompressed(&out)
	return out.Bytes(), err
}

// appendOne appends the answer to one profile of many.
func appendOne(out []byte, operation string, data []byte) []byte {
	written, err := one(operation, data)
	if err != nil {
		out = binary.LittleEndian.AppendUint32(out, math.MaxUint32)
		written = []byte(err.Error())
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(len(written)))
	return append(out, written...)
}

func each(operation, from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var out []byte
	for len(data) > 0 {
		end := 4 + int(binary.LittleEndian.Uint32(data))
		out = appendOne(out, operation, data[4:end:end])
		data = data[end:]
	}
	return os.WriteFile(to, out, 0o600)
}

func serve(requests io.Reader, answers io.Writer) error {
	var length [4]byte
	for {
		if _, err := io.ReadFull(requests, length[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		data := make([]byte, binary.LittleEndian.Uint32(length[:]))
		if _, err := io.ReadFull(requests, data); err != nil {
			return err
		}
		var out []byte
		for _, operation := range []string{"write", "compact"} {
			// The library may keep and change what it reads.
			out = appendOne(out, operation, bytes.Clone(data))
		}
		if _, err := answers.Write(out); err != nil {
			return err
		}
	}
}

func answer(line string) error {
	fields := strings.Split(line, "\t")
	if operation, ok := strings.CutPrefix(fields[0], "each-"); ok {
		return each(operation, fields[2], fields[1])
	}
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
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		if err := serve(bufio.NewReader(os.Stdin), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	requests := bufio.NewScanner(os.Stdin)
	for requests.Scan() {
		if err := answer(requests.Text()); err != nil {
			fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("ok")
		}
	}
}
