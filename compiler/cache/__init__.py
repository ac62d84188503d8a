"""Compiled artifacts on disk: data, never code to unpickle.

`artifacts.ArtifactCache` is what the compiler uses. Below it:
`store` (a directory of checksummed entries, safe for many processes) and `files` (the calls on the
file system, which tests replace by a simulation; `file_calls` is their interface).
"""

from tilewright.compiler.cache.artifacts import ArtifactCache as ArtifactCache
