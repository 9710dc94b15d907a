module profiling.io/e2e/hostile

go 1.24
