// The peer: google/pprof's own library and driver do what the figures ask, again and again, and say what it cost.
//
// A request is one line of its standard input: an operation, for how many milliseconds of CPU time to repeat it, and its
// files, separated by tabs. The answer is one line: "ok", nanoseconds of CPU time for one repetition, and bytes that came
// out of it. CPU time is that of the whole process: the garbage collector is part of what an operation costs.
//
// "variant" is no measurement: it writes a profile as another process of the same program may have given it.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/pprof/profile"
)

// An operation on files that were read before the clock runs. It gives the number of bytes that came out.
type operation func(files [][]byte) (once func() (int, error), err error)

var operations = map[string]operation{
	"parse":     parse,
	"parse-raw": parseRaw,
	"compact":   compact,
	"diff":      diff,
	"write":     write,
	"write-gz":  writeGzip,
	"top":       top,
	"flame":     flame,
}

func parse(files [][]byte) (func() (int, error), error) {
	return func() (int, error) {
		_, err := profile.ParseData(files[0])
		return 0, err
	}, nil
}

func parseRaw(files [][]byte) (func() (int, error), error) {
	raw, err := unpack(files[0])
	return func() (int, error) {
		parsed, err := profile.ParseUncompressed(raw)
		if err != nil {
			return 0, err
		}
		return 0, parsed.CheckValid()
	}, err
}

func compact(files [][]byte) (func() (int, error), error) {
	parsed, err := profile.ParseData(files[0])
	return func() (int, error) { return len(parsed.Compact().Sample), nil }, err
}

// diff subtracts the second file from the first. Nothing is copied for it: the base is turned back when it is done, here
// as in what this is compared with.
func diff(files [][]byte) (func() (int, error), error) {
	parsed, err := profile.ParseData(files[0])
	if err != nil {
		return nil, err
	}
	base, err := profile.ParseData(files[1])
	return func() (int, error) {
		base.Scale(-1)
		merged, err := profile.Merge([]*profile.Profile{parsed, base})
		base.Scale(-1)
		if err != nil {
			return 0, err
		}
		return len(merged.Sample), nil
	}, err
}

func write(files [][]byte) (func() (int, error), error) {
	parsed, err := profile.ParseData(files[0])
	return func() (int, error) {
		var out bytes.Buffer
		err := parsed.WriteUncompressed(&out)
		return out.Len(), err
	}, err
}

func writeGzip(files [][]byte) (func() (int, error), error) {
	parsed, err := profile.ParseData(files[0])
	return func() (int, error) {
		var out bytes.Buffer
		err := parsed.Write(&out)
		return out.Len(), err
	}, err
}

func unpack(data []byte) ([]byte, error) {
	if len(data) < 2 || data[0] != 0x1f || data[1] != 0x8b {
		return data, nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

// cpu is the CPU time of this process so far, in nanoseconds.
func cpu() (int64, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano(), err
}

// measure repeats an operation until it took long enough, as often as its last round suggests.
func measure(once func() (int, error), enough int64) (nanos int64, out int, err error) {
	for rounds := int64(1); ; {
		runtime.GC()
		begin, err := cpu()
		if err != nil {
			return 0, 0, err
		}
		for range rounds {
			if out, err = once(); err != nil {
				return 0, 0, err
			}
		}
		end, err := cpu()
		if err != nil {
			return 0, 0, err
		}
		if spent := end - begin; spent >= enough {
			return spent / rounds, out, nil
		} else {
			// A clock of microseconds may say that one repetition took no time.
			rounds = max(rounds*2, rounds*enough*6/5/max(spent, 1000))
		}
	}
}

// variant writes what another process of the same program may give: loaded elsewhere, three of five samples, other values.
func variant(seed int64, from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	parsed, err := profile.ParseData(data)
	if err != nil {
		return err
	}
	dice := rand.New(rand.NewSource(seed))
	moved := uint64(dice.Intn(1<<20)) << 12
	for _, mapping := range parsed.Mapping {
		mapping.Start += moved
		mapping.Limit += moved
	}
	for _, location := range parsed.Location {
		if location.Mapping != nil {
			location.Address += moved
		}
	}
	kept := parsed.Sample[:0]
	for _, sample := range parsed.Sample {
		if dice.Intn(5) < 3 {
			factor := int64(1 + dice.Intn(4))
			for i := range sample.Value {
				sample.Value[i] *= factor
			}
			kept = append(kept, sample)
		}
	}
	parsed.Sample = kept
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if strings.HasSuffix(to, ".gz") {
		return parsed.Write(out)
	}
	return parsed.WriteUncompressed(out)
}

func answer(line string) (string, error) {
	fields := strings.Split(line, "\t")
	if len(fields) < 3 {
		return "", errors.New("an operation, a number and files are wanted")
	}
	number, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return "", err
	}
	if fields[0] == "variant" {
		return "ok\t0\t0", variant(number, fields[2], fields[3])
	}
	prepare, ok := operations[fields[0]]
	if !ok {
		return "", fmt.Errorf("no operation %q", fields[0])
	}
	var files [][]byte
	for _, path := range fields[2:] {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		files = append(files, data)
	}
	once, err := prepare(files)
	if err != nil {
		return "", err
	}
	nanos, out, err := measure(once, number*1_000_000)
	return fmt.Sprintf("ok\t%d\t%d", nanos, out), err
}

func main() {
	if len(os.Args) > 1 {
		if err := mergeAll(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	requests := bufio.NewScanner(os.Stdin)
	for requests.Scan() {
		if said, err := answer(requests.Text()); err != nil {
			fmt.Println("error\t" + strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println(said)
		}
	}
}
