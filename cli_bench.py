"""`perennial bench`: the benchmarks."""
