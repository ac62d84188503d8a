"""The pool of device buffers, with buffers that only count."""

from __future__ import annotations

from typing import Any

from tilewright.codegen_wgsl.pool import BufferPool, PooledBuffer


class Raw:
    destroyed = False

    def destroy(self) -> None:
        assert not self.destroyed
        self.destroyed = True


class Pool:
    """A pool of at most 100 idle bytes, and what it has made."""

    def __init__(self) -> None:
        self.made: list[PooledBuffer] = []
        self.pool = BufferPool(self._create, idle_limit=100)

    def _create(self, nbytes: int) -> PooledBuffer:
        raw: Any = Raw()
        self.made.append(PooledBuffer(raw, nbytes, len(self.made)))
        return self.made[-1]

    def destroyed(self) -> list[int]:
        return [b.serial for b in self.made if b.raw.destroyed]


def test_a_released_buffer_is_used_again() -> None:
    given = Pool()
    first = given.pool.acquire(40)
    given.pool.release(first)
    assert given.pool.idle_bytes() == 40
    assert given.pool.acquire(40) is first
    assert given.pool.idle_bytes() == 0
    assert given.pool.acquire(40) is not first


def test_only_for_the_same_size() -> None:
    given = Pool()
    first = given.pool.acquire(40)
    given.pool.release(first)
    assert given.pool.acquire(41) is not first
    assert given.pool.acquire(39) is not first
    assert given.pool.acquire(40) is first


def test_the_one_released_last_comes_first() -> None:
    given = Pool()
    one, two = given.pool.acquire(20), given.pool.acquire(20)
    given.pool.release(one)
    given.pool.release(two)
    assert given.pool.acquire(20) is two
    assert given.pool.acquire(20) is one


def test_nothing_is_destroyed_within_the_limit() -> None:
    given = Pool()
    buffers = [given.pool.acquire(n) for n in (40, 60)]
    for buffer in buffers:
        given.pool.release(buffer)
    assert given.pool.idle_bytes() == 100
    assert not given.destroyed()


def test_beyond_the_limit_the_longest_idle_are_destroyed() -> None:
    given = Pool()
    buffers = [given.pool.acquire(n) for n in (40, 30, 40, 20)]
    for buffer in buffers:
        given.pool.release(buffer)
    # 130 bytes: of the sizes, 30 was released longest ago.
    assert given.pool.idle_bytes() == 100
    assert given.destroyed() == [1]
    given.pool.release(given.pool.acquire(30))
    assert given.pool.idle_bytes() == 90  # 30 more, and the first of 40 less
    assert given.destroyed() == [0, 1]
    assert given.pool.acquire(40) is buffers[2]
    assert given.pool.acquire(40).serial == 5


def test_a_buffer_larger_than_the_limit_is_not_kept() -> None:
    given = Pool()
    large = given.pool.acquire(101)
    given.pool.release(large)
    assert given.pool.idle_bytes() == 0
    assert given.destroyed() == [0]
    assert given.pool.acquire(101) is not large


def test_what_one_program_needs_is_kept() -> None:
    given = Pool()
    given.pool.keep(150)
    buffers = [given.pool.acquire(50) for _ in range(4)]
    for buffer in buffers:
        given.pool.release(buffer)
    assert given.pool.idle_bytes() == 150
    given.pool.keep(20)
    assert given.pool.idle_bytes() == 150
