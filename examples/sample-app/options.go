package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Bounds of everything that can be asked for. They keep a typing error from taking a machine down.
const (
	burnSecondsMax   = 600
	burnCoresMax     = 64
	leakMegabytesMax = 4096
	leakRateMax      = 1024 // megabytes per second
	phaseMax         = time.Hour
	// About a second of work each.
	workRoundsMax           = 1e9
	workGarbageKilobytesMax = 1e6
)

type options struct {
	addr      string
	pprofAddr string

	turns           bool
	burnDuration    time.Duration
	leakDuration    time.Duration
	contendDuration time.Duration
	pauseDuration   time.Duration
	leakMaxMegabyte int

	burnCores      float64
	leakMegabytes  int
	leakRate       int
	contend        bool
	contendWorkers int

	mutexProfileFraction        int
	blockProfileRateNanoseconds int

	failTypes    typeList
	withoutTypes typeList
	parentWatch  bool
}

// parseOptions reads flags, and for each flag that is not given its environment variable: the name
// in capitals with underscores, so --burn-cores is BURN_CORES.
func parseOptions(arguments []string, environment func(string) (string, bool)) (options, error) {
	var parsed options
	flags := flag.NewFlagSet("sample-app", flag.ContinueOnError)
	flags.StringVar(&parsed.addr, "addr", ":8080", "address of the control endpoints")
	flags.StringVar(&parsed.pprofAddr, "pprof-addr", ":6060", "address of net/http/pprof; 127.0.0.1:6060 for loopback only")
	flags.BoolVar(&parsed.turns, "turns", false, "burn, leak and contend in turns")
	// A turn of 30 s: whoever looks every 10 s sees the same of each turn, and between the look at 10 s and
	// the end of the burning there is time for a CPU profile of it.
	flags.DurationVar(&parsed.burnDuration, "burn-duration", 14*time.Second, "with --turns: how long to burn CPU")
	flags.DurationVar(&parsed.leakDuration, "leak-duration", 8*time.Second, "with --turns: how long to leak and hold")
	flags.DurationVar(&parsed.contendDuration, "contend-duration", 8*time.Second, "with --turns: how long to contend; the leak is held until its end")
	flags.DurationVar(&parsed.pauseDuration, "pause-duration", 0, "with --turns: how long to be idle at the end of a turn")
	flags.IntVar(&parsed.leakMaxMegabyte, "leak-max-megabytes", 200, "with --turns: what a turn leaks at most before it is released")
	flags.Float64Var(&parsed.burnCores, "burn-cores", 0, "cores to burn from the start, 0.45 is 90 % of a limit of 500m; with --turns: in the burn phase (default 1)")
	flags.IntVar(&parsed.leakMegabytes, "leak-megabytes", 0, "megabytes to leak from the start (not with --turns)")
	flags.IntVar(&parsed.leakRate, "leak-rate", 50, "megabytes per second to leak")
	flags.BoolVar(&parsed.contend, "contend", false, "contend from the start (not with --turns)")
	flags.IntVar(&parsed.contendWorkers, "contend-workers", 8, "goroutines that contend")
	flags.IntVar(&parsed.mutexProfileFraction, "mutex-profile-fraction", 1, "one in how many contentions is recorded; 0 records none")
	flags.IntVar(&parsed.blockProfileRateNanoseconds, "block-profile-rate-nanoseconds", 10_000, "one blocking event per how many nanoseconds blocked is recorded; 0 records none")
	flags.Var(&parsed.failTypes, "fail-types", "profile types that answer 500, separated by commas")
	flags.Var(&parsed.withoutTypes, "without", "profile types that answer 404, separated by commas")
	flags.BoolVar(&parsed.parentWatch, "parent-watch", false, "end when stdin closes")
	// A wrong flag is one line that names it; the whole list is for those who ask with --help.
	flags.SetOutput(io.Discard)
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(os.Stdout)
			flags.PrintDefaults()
		}
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := readEnvironment(flags, environment); err != nil {
		return options{}, err
	}
	if parsed.turns && parsed.burnCores == 0 {
		parsed.burnCores = 1
	}
	return parsed, parsed.validate()
}

func readEnvironment(flags *flag.FlagSet, environment func(string) (string, bool)) error {
	given := map[string]bool{}
	flags.Visit(func(one *flag.Flag) { given[one.Name] = true })
	var failed error
	flags.VisitAll(func(one *flag.Flag) {
		name := strings.ToUpper(strings.ReplaceAll(one.Name, "-", "_"))
		value, found := environment(name)
		if given[one.Name] || !found || value == "" {
			return
		}
		if err := flags.Set(one.Name, value); err != nil {
			failed = errors.Join(failed, fmt.Errorf("environment variable %s: %w", name, err))
		}
	})
	return failed
}

func (o options) validate() error {
	inRange := func(name string, value, low, high float64) error {
		// Written so that NaN fails.
		if value >= low && value <= high {
			return nil
		}
		return fmt.Errorf("--%s is %v, must be %v to %v", name, value, low, high)
	}
	return errors.Join(
		inRange("burn-cores", o.burnCores, 0, burnCoresMax),
		inRange("leak-megabytes", float64(o.leakMegabytes), 0, leakMegabytesMax),
		inRange("leak-max-megabytes", float64(o.leakMaxMegabyte), 1, leakMegabytesMax),
		inRange("leak-rate", float64(o.leakRate), 1, leakRateMax),
		inRange("contend-workers", float64(o.contendWorkers), 2, 1024),
		inRange("mutex-profile-fraction", float64(o.mutexProfileFraction), 0, 1e6),
		inRange("block-profile-rate-nanoseconds", float64(o.blockProfileRateNanoseconds), 0, 1e9),
		inRange("burn-duration", o.burnDuration.Seconds(), 0.01, phaseMax.Seconds()),
		inRange("leak-duration", o.leakDuration.Seconds(), 0.01, phaseMax.Seconds()),
		inRange("contend-duration", o.contendDuration.Seconds(), 0.01, phaseMax.Seconds()),
		inRange("pause-duration", o.pauseDuration.Seconds(), 0, phaseMax.Seconds()),
	)
}

func (o options) turnsPlan() turnsPlan {
	return turnsPlan{
		burnCores:     o.burnCores,
		burn:          o.burnDuration,
		leakMegabytes: o.leakMaxMegabyte,
		leakRate:      o.leakRate,
		leak:          o.leakDuration,
		contend:       o.contendDuration,
		pause:         o.pauseDuration,
	}
}

// typeList is a flag that holds profile types by the words of spec.profileTypes.
type typeList []string

func (l *typeList) String() string { return strings.Join(*l, ",") }

func (l *typeList) Set(value string) error {
	*l = nil
	for word := range strings.SplitSeq(value, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		if _, known := pathOfType[word]; !known {
			return fmt.Errorf("%q is not a profile type", word)
		}
		*l = append(*l, word)
	}
	return nil
}
