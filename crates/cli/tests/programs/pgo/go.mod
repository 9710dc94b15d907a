module profiling.io/cli/tests/pgo

go 1.26
