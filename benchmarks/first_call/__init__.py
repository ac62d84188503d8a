"""How long a new process takes until a kernel has been called for the first time.

`python -m benchmarks.first_call` prints the table; each figure is the median of fresh processes
(`process`), which call one of the kernels of `kernels`.
"""
