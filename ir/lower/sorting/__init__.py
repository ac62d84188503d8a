"""Sorting steps -> nests or kernels, one algorithm per file."""
