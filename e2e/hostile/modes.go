package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// modes holds every way to misbehave. What stands after a colon is an argument.
var modes = map[string]struct {
	argument argument
	answer   func(*exchange)
}{
	// It behaves: net/http/pprof of this program.
	"ok": {noArgument, nil},

	// Redirects: to the cloud's metadata service, to another path of this program, to any URL.
	"redirect":      {noArgument, redirectTo("302 Found", "http://169.254.169.254/latest/meta-data/iam/security-credentials/")},
	"redirect-path": {noArgument, redirectTo("307 Temporary Redirect", secretPath)},
	"redirect-url":  {textArgument, func(e *exchange) { redirectTo("301 Moved Permanently", e.mode.text)(e) }},

	// Bodies without an end. The first is a valid profile up to every byte, so that only a limit ends it.
	"endless":         {noArgument, endlessProfile},
	"endless-chunked": {noArgument, endlessChunkedProfile},
	"endless-junk":    {noArgument, endlessJunk},
	"endless-headers": {noArgument, endlessHeaders},

	// Silence: before anything, after the headers, in the middle of the body.
	"silent":     {noArgument, (*exchange).hold},
	"stall":      {noArgument, stallAfterHeaders},
	"stall-body": {noArgument, stallInBody},

	// One byte a second.
	"slow":         {noArgument, slowBody},
	"slow-headers": {noArgument, slowHeaders},

	// Bodies that are not a profile, or not the one that was asked.
	"html":        {noArgument, wholeBody("text/html; charset=utf-8", []byte("<!DOCTYPE html><html><title>Sign in</title><p>Please sign in to go on.</html>\n"))},
	"zero":        {noArgument, wholeBody(octets, nil)},
	"gzip-bomb":   {noArgument, gzipBomb},
	"sample-bomb": {noArgument, func(e *exchange) { wholeBody(octets, sampleBomb(e.types()))(e) }},
	"wrong-type":  {noArgument, wrongType},
	"trailing":    {noArgument, func(e *exchange) { wholeBody(octets, append(e.whole(), "and more that is not gzip"...))(e) }},
	"garbage":     {noArgument, func(e *exchange) { e.send("SSH-2.0-OpenSSH_9.9\r\n") }},

	// Bodies that end early, by every framing, and one that goes on behind its end.
	"truncated":        {noArgument, truncatedChunks},
	"truncated-length": {noArgument, truncatedLength},
	"truncated-close":  {noArgument, truncatedClose},
	"reset":            {noArgument, resetInBody},
	"wrong-length":     {noArgument, lengthTooShort},
	"two-lengths":      {noArgument, twoLengths},

	// Errors that a program may answer.
	"busy":      {optionalNumber, nil},
	"not-found": {noArgument, func(e *exchange) { e.refuse("404 Not Found", "Unknown profile\n") }},
	"status":    {statusArgument, func(e *exchange) { e.refuse(strconv.Itoa(e.mode.number)+" Told So", "told to\n") }},

	// Whole and valid, but unusual: large (in MiB), without samples, not compressed, ended by the close.
	"big":   {sizeArgument, bigProfile},
	"empty": {noArgument, func(e *exchange) { wholeBody(octets, compress(encodeProfile(e.types(), 0)))(e) }},
	"plain": {noArgument, func(e *exchange) { wholeBody(octets, encodeProfile(e.types(), 3))(e) }},
	"close": {noArgument, func(e *exchange) { e.headers(""); e.sendBytes(e.whole()) }},
}

// mixedMode is short for a set of which the instant types are fine and the long one is lost.
const mixedMode = "cpu=truncated"

// pathOfType gives the last part of a profile type's path under /debug/pprof/.
var pathOfType = map[string]string{
	"heap": "heap", "allocs": "allocs", "goroutine": "goroutine", "mutex": "mutex", "block": "block",
	"threadcreate": "threadcreate", "goroutineleak": "goroutineleak", "cpu": "profile", "trace": "trace",
}

// argument is what a mode wants after its colon.
type argument int

const (
	noArgument argument = iota
	textArgument
	optionalNumber
	statusArgument
	sizeArgument
)

// Largest profile in MiB: the largest maxBytes that a config can have, and one over it.
const bigMebibytesMax = 1025

type mode struct {
	name   string
	text   string
	number int
}

// behaviour is a mode for every type.
type behaviour struct {
	spec   string
	others mode
	byPath map[string]mode
}

// of is the mode of a path's last part.
func (b *behaviour) of(last string) mode {
	if named, found := b.byPath[last]; found {
		return named
	}
	return b.others
}

// parseBehaviour reads MODE or TYPE=MODE,TYPE=MODE, in which the types not named behave.
func parseBehaviour(spec string) (behaviour, error) {
	parsed := behaviour{spec: spec, others: mode{name: "ok"}, byPath: map[string]mode{}}
	if spec == "mixed" {
		spec = mixedMode
	}
	firstWord, _, _ := strings.Cut(spec, "=")
	if _, byType := pathOfType[firstWord]; !byType {
		only, err := parseMode(spec)
		parsed.others = only
		return parsed, err
	}
	for part := range strings.SplitSeq(spec, ",") {
		word, text, found := strings.Cut(part, "=")
		path, known := pathOfType[word]
		if !found || !known {
			return behaviour{}, fmt.Errorf("%q is not TYPE=MODE", part)
		}
		one, err := parseMode(text)
		if err != nil {
			return behaviour{}, err
		}
		parsed.byPath[path] = one
	}
	return parsed, nil
}

func parseMode(spec string) (mode, error) {
	name, text, given := strings.Cut(spec, ":")
	known, found := modes[name]
	if !found {
		return mode{}, fmt.Errorf("%q is not a mode, one of %s is", name, strings.Join(slices.Sorted(maps.Keys(modes)), " "))
	}
	parsed := mode{name: name, text: text}
	inRange := func(low, high int) error {
		number, err := strconv.Atoi(text)
		if err != nil || number < low || number > high {
			return fmt.Errorf("%s needs a number from %d to %d after a colon", name, low, high)
		}
		parsed.number = number
		return nil
	}
	var err error
	switch known.argument {
	case noArgument:
		if given {
			err = fmt.Errorf("%s takes nothing after a colon", name)
		}
	case textArgument:
		if text == "" || strings.ContainsAny(text, "\r\n") {
			err = fmt.Errorf("%s needs a text after a colon", name)
		}
	case optionalNumber:
		if given {
			err = inRange(1, 1000)
		}
	case statusArgument:
		err = inRange(100, 599)
	case sizeArgument:
		err = inRange(1, bigMebibytesMax)
	}
	return parsed, err
}
