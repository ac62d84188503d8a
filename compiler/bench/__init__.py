"""Kernels against other implementations of the same function: time, rate and error."""
