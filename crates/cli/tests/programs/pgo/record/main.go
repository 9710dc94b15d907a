// Burns CPU and writes the profile of it to the file that it is told.
package main

import (
	"fmt"
	"os"
	"runtime/pprof"

	"profiling.io/cli/tests/pgo/hot"
)

func main() {
	file, err := os.Create(os.Args[1])
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(hot.Spin(10_000_000) > 0)
	pprof.StopCPUProfile()
	if err := file.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
