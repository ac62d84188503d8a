"""Suites for asv: numbers that are kept over versions. `make asv` runs them."""
