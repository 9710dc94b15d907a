module profiling.io/examples/sample-app

go 1.24
