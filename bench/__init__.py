"""Benchmarks: each says how fast we are as a ratio against a plain peer measured in the same run on the same machine."""
