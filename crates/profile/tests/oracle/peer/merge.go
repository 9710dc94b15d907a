package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/google/pprof/profile"
)

// As many profiles as pprof holds at once.
const chunk = 128

// mergeAll merges the files that a list names, one path a line, as the program pprof does: in chunks. It writes the result
// and prints CPU nanoseconds, from the reading of the first file to the last byte written, and the peak of memory.
func mergeAll(arguments []string) error {
	list, err := os.ReadFile(arguments[0])
	if err != nil {
		return err
	}
	paths := strings.Fields(string(list))
	begin, err := cpu()
	if err != nil {
		return err
	}
	var merged *profile.Profile
	for len(paths) > 0 {
		var profiles []*profile.Profile
		if merged != nil {
			profiles = append(profiles, merged)
		}
		for _, path := range paths[:min(chunk, len(paths))] {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			parsed, err := profile.ParseData(data)
			if err != nil {
				return err
			}
			profiles = append(profiles, parsed)
		}
		paths = paths[min(chunk, len(paths)):]
		if merged, err = profile.Merge(profiles); err != nil {
			return err
		}
	}
	if merged != nil {
		var out bytes.Buffer
		if err := merged.WriteUncompressed(&out); err != nil {
			return err
		}
		if err := os.WriteFile(arguments[1], out.Bytes(), 0o600); err != nil {
			return err
		}
	}
	end, err := cpu()
	if err != nil {
		return err
	}
	peak, err := peakBytes()
	fmt.Println(end-begin, peak)
	return err
}

// peakBytes is the most memory that this process ever had.
func peakBytes() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kibibytes int64
		if count, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kibibytes); count == 1 {
			return kibibytes << 10, nil
		}
	}
	return 0, fmt.Errorf("the kernel does not say how much memory there was")
}
