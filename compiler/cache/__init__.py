"""Compiled artifacts on disk: data, never code to unpickle.

`artifacts.ArtifactCache` is what the compiler uses. Below it are `store` (a directory of
checksummed entries, safe for many processes; `writing` and `upkeep` are the parts that reading does
not need) and `files` (the calls on the file system, which tests replace by a simulation;
`file_calls` is their interface).

Above it is the front of the compiler, which finds kernels without tracing, since the tracer's
import alone takes longer than all of this: `fingerprint` sums up all that tracing a function would
read, `dependencies` keeps it, and `entries` has, under that, what a call needs (`store_entry` puts
it there).
"""

from tilewright.compiler.cache.artifacts import ArtifactCache as ArtifactCache
