"""Compiled artifacts on disk: data, never code to unpickle.

`artifacts.ArtifactCache` is what the compiler uses. Below it: `encoding` (an artifact <-> bytes),
`store` (a directory of checksummed entries, safe for many processes), `entry` (an entry <-> bytes),
`files` (the calls on the file system, which tests replace by a simulation; `file_calls` is their
interface) and `identity` (the processor and the compiler, as parts of a key).
"""

from tilewright.compiler.cache.artifacts import ArtifactCache as ArtifactCache
from tilewright.compiler.cache.artifacts import CacheInfo as CacheInfo
