// Burns CPU: what is built with a profile.
package main

import "profiling.io/cli/tests/pgo/hot"

func main() {
	println(hot.Spin(1000) > 0)
}
