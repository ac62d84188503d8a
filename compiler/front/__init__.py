"""Kernels from the disk cache without tracing: the front of the compiler.

`fingerprint` sums up all that tracing a function would read; `entries` keeps, under that, what a
call needs. Both know nothing of the tracer, whose import alone takes longer than all of this.
"""
