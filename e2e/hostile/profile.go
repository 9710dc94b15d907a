package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// valueType is a type and unit of a profile's values.
type valueType struct{ name, unit string }

var (
	spaceTypes = []valueType{{"alloc_objects", "count"}, {"alloc_space", "bytes"}, {"inuse_objects", "count"}, {"inuse_space", "bytes"}}
	delayTypes = []valueType{{"contentions", "count"}, {"delay", "nanoseconds"}}
)

// valueTypes holds the sample types of Go's profiles by the last part of their path.
var valueTypes = map[string][]valueType{
	"heap":          spaceTypes,
	"allocs":        spaceTypes,
	"mutex":         delayTypes,
	"block":         delayTypes,
	"goroutine":     {{"goroutine", "count"}},
	"threadcreate":  {{"threadcreate", "count"}},
	"goroutineleak": {{"goroutineleak", "count"}},
	"profile":       {{"samples", "count"}, {"cpu", "nanoseconds"}},
}

// Field numbers of profile.proto.
const (
	profileSampleType  = 1
	profileSample      = 2
	profileMapping     = 3
	profileLocation    = 4
	profileFunction    = 5
	profileStringTable = 6
	profilePeriodType  = 11
	profilePeriod      = 12
)

// Bytes of each string that makes a profile big: below the 64 KiB at which a checker may call a string
// too long.
const fillerBytes = 16 << 10

// encodeProfile is a valid profile of the types, uncompressed, with a number of samples. Its string
// table may go on after its end: strings there are valid and unused.
func encodeProfile(types []valueType, samples int) []byte {
	table := stringTable{index: map[string]uint64{}}
	table.of("")
	var out message
	for _, one := range types {
		out.message(profileSampleType, table.valueType(one))
	}
	for at := range samples {
		var sample, locations, values message
		locations.varint(1)
		sample.bytes(1, locations.buffer)
		for range types {
			values.varint(uint64(at) + 1)
		}
		sample.bytes(2, values.buffer)
		out.message(profileSample, sample)
	}
	var mapping, line, location, function message
	mapping.number(1, 1)
	mapping.number(2, 0x400000)
	mapping.number(3, 0x800000)
	mapping.number(5, table.of("/hostile"))
	mapping.number(7, 1)
	out.message(profileMapping, mapping)
	line.number(1, 1)
	line.number(2, 42)
	location.number(1, 1)
	location.number(2, 1)
	location.number(3, 0x400100)
	location.message(4, line)
	out.message(profileLocation, location)
	function.number(1, 1)
	function.number(2, table.of("main.hostile"))
	function.number(3, table.of("main.hostile"))
	function.number(4, table.of("hostile.go"))
	out.message(profileFunction, function)
	out.message(profilePeriodType, table.valueType(types[len(types)-1]))
	out.number(profilePeriod, 1)
	for _, one := range table.strings {
		out.bytes(profileStringTable, []byte(one))
	}
	return out.buffer
}

// compress is for small profiles.
func compress(raw []byte) []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write(raw)
	_ = writer.Close()
	return packed.Bytes()
}

// writeBig writes a valid gzipped profile that compression cannot make smaller, with at least that
// many bytes, without ever holding it; with no limit it goes on until the writer fails. The bytes are
// the same every time.
func writeBig(out io.Writer, types []valueType, bytesMin int64) error {
	writer, err := gzip.NewWriterLevel(out, gzip.NoCompression)
	if err != nil {
		return err
	}
	if _, err := writer.Write(encodeProfile(types, 1)); err != nil {
		return err
	}
	random := rand.NewChaCha8([32]byte{})
	filler := make([]byte, fillerBytes)
	for written := int64(0); bytesMin == endless || written < bytesMin; written += fillerBytes {
		_, _ = random.Read(filler)
		var field message
		field.bytes(profileStringTable, filler)
		if _, err := writer.Write(field.buffer); err != nil {
			return err
		}
	}
	return writer.Close()
}

// endless as a size means until the client goes.
const endless int64 = -1

// sampleBomb is 4 KB of gzip that becomes two million empty samples.
func sampleBomb(types []valueType) []byte {
	raw := encodeProfile(types, 1)
	return compress(append(raw, bytes.Repeat([]byte{profileSample<<3 | 2, 0}, 2<<20)...))
}

// writeZeros writes a gzip of zeros, about a thousand times smaller than what comes out.
func writeZeros(out io.Writer, count int64) error {
	writer := gzip.NewWriter(out)
	zeros := make([]byte, 64<<10)
	for written := int64(0); written < count; written += int64(len(zeros)) {
		if _, err := writer.Write(zeros); err != nil {
			return err
		}
	}
	return writer.Close()
}

// message is a protobuf message in the making.
type message struct{ buffer []byte }

func (m *message) varint(value uint64) { m.buffer = binary.AppendUvarint(m.buffer, value) }

func (m *message) number(field int, value uint64) {
	m.varint(uint64(field) << 3)
	m.varint(value)
}

func (m *message) bytes(field int, value []byte) {
	m.varint(uint64(field)<<3 | 2)
	m.varint(uint64(len(value)))
	m.buffer = append(m.buffer, value...)
}

func (m *message) message(field int, value message) { m.bytes(field, value.buffer) }

type stringTable struct {
	strings []string
	index   map[string]uint64
}

func (t *stringTable) of(text string) uint64 {
	if known, found := t.index[text]; found {
		return known
	}
	t.index[text] = uint64(len(t.strings))
	t.strings = append(t.strings, text)
	return t.index[text]
}

func (t *stringTable) valueType(one valueType) message {
	var made message
	made.number(1, t.of(one.name))
	made.number(2, t.of(one.unit))
	return made
}
