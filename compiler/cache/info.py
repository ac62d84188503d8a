"""The state of a cache, for those who look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from tilewright.compiler.cache.artifacts import ArtifactCache


class CacheInfo(Struct, frozen=True):
    """The state of a cache. `hits` and `misses` are this process's; `problem` says why the cache,
    or a part of its work, is not done."""

    location: str | None
    entries: int
    bytes: int
    most_bytes: int
    hits: int
    misses: int
    problem: str | None


def cache_info(cache: ArtifactCache) -> CacheInfo:
    """How much there is in a cache, and how it served this process."""
    store = cache.store
    if store is None:
        return CacheInfo(None, 0, 0, 0, cache.hits, cache.misses, "there is no cache")
    files = list(store.scan())
    return CacheInfo(
        location=store.directory,
        entries=sum(file.is_entry for file in files),
        bytes=sum(file.size for file in files),
        most_bytes=store.most_bytes,
        hits=cache.hits,
        misses=cache.misses,
        problem=store.problem,
    )
