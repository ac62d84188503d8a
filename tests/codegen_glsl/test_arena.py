"""Textures and framebuffers are counted, reused and freed at their limits; no device."""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar

import pytest

from tilewright.codegen_glsl import arena as arena_module
from tilewright.codegen_glsl.arena import TextureArena
from tilewright.codegen_glsl.context import GlContext
from tilewright.codegen_glsl.texture import layout_for
from tilewright.ir.errors import DeviceError, DeviceLostError, LimitError

KIB = layout_for(256, "float32")  # 8 x 8 texels of 16 bytes
HALF = layout_for(128, "int32")


class Held:
    """A texture or a framebuffer of the fake driver."""

    def __init__(self, driver: FakeDriver, number: int) -> None:
        self.driver = driver
        self.glo = number
        self.filter: object = None

    def use(self) -> None:
        self.driver.fbo = self

    def release(self) -> None:
        assert self.driver.fbo is not self, "moderngl would bind it again"
        self.driver.released.append(self)


class FakeDriver:
    """As much of a moderngl context as the arena uses."""

    NEAREST = 9728
    NOTHING = 0
    info: ClassVar = {"GL_RENDERER": "Fake"}

    def __init__(self) -> None:
        self.error = "GL_NO_ERROR"
        self.fbo: Any = None
        self.released: list[Any] = []
        self.made: list[tuple[Any, ...]] = []
        self._numbers = count(1)

    def enable_only(self, flags: int) -> None:
        assert flags == self.NOTHING

    def simple_framebuffer(self, size: tuple[int, int]) -> Held:
        return Held(self, next(self._numbers))

    def texture(self, size: tuple[int, int], components: int, dtype: str) -> Held:
        self.made.append((size, components, dtype))
        return Held(self, next(self._numbers))

    def framebuffer(self, targets: list[Held]) -> Held:
        if any(t.glo < 0 for t in targets):
            raise Exception("incomplete")  # as moderngl does
        made = Held(self, next(self._numbers))
        made.use()
        return made


def arena_of(driver: FakeDriver, memory: int = 1 << 20, idle: int = 1 << 20) -> TextureArena:
    return TextureArena(driver, memory, idle)  # type: ignore[arg-type]


def test_a_texture_is_used_again_by_its_layout_alone() -> None:
    driver = FakeDriver()
    arena = arena_of(driver)
    first = arena.acquire(KIB)
    handle = first.handle
    assert handle.filter == (driver.NEAREST, driver.NEAREST)
    del first
    other, again, more = arena.acquire(HALF), arena.acquire(KIB), arena.acquire(KIB)
    assert again.handle is handle
    assert handle not in (other.handle, more.handle)
    assert driver.made == [((8, 8), 4, "f4"), ((8, 4), 4, "i4"), ((8, 8), 4, "f4")]
    assert arena.allocated_bytes == 1024 + 512 + 1024


def test_all_of_the_memory_may_be_used() -> None:
    arena = arena_of(FakeDriver(), memory=2048)
    leases = [arena.acquire(KIB), arena.acquire(KIB)]
    with pytest.raises(LimitError) as caught:
        arena.acquire(HALF)
    assert str(caught.value) == (
        "a texture of 8 x 4 texels needs 512 bytes; 2048 of 2048 bytes are in use\n"
        "help: drop device arrays that are no longer needed, or raise memory_bytes"
    )
    leases.pop()
    assert arena.acquire(HALF).layout == HALF  # what waits for reuse makes room
    assert arena.allocated_bytes == 1024 + 512


def test_what_waits_for_reuse_makes_no_room_where_none_is_needed() -> None:
    driver = FakeDriver()
    arena = arena_of(driver, memory=1024 + 512)
    arena.acquire(KIB)
    assert arena.acquire(HALF).layout == HALF
    assert driver.released == []


def test_beyond_the_limit_the_layout_that_waits_longest_is_freed() -> None:
    driver = FakeDriver()
    arena = arena_of(driver, idle=1024)
    one, other, third = arena.acquire(HALF), arena.acquire(HALF), arena.acquire(KIB)
    kept = [lease.handle for lease in (one, other, third)]
    del one, other
    arena.collect()
    assert driver.released == []  # the limit is reached, not passed
    del third
    arena.collect()
    assert driver.released == kept[:2][::-1]
    assert arena.allocated_bytes == 1024
    assert arena.acquire(KIB).handle is kept[2]


def test_a_framebuffer_goes_with_any_of_its_textures() -> None:
    driver = FakeDriver()
    arena = arena_of(driver, idle=0)
    one, other = arena.acquire(KIB), arena.acquire(KIB)
    both, single = arena.framebuffer((one, other)), arena.framebuffer((other,))
    assert arena.framebuffer((one, other)) is both
    gone = one.handle
    del one
    arena.collect()
    assert driver.released == [both, gone]
    assert arena.framebuffer((other,)) is single


def test_the_framebuffer_used_last_is_kept_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena_module, "_MAX_FRAMEBUFFERS", 2)
    driver = FakeDriver()
    arena = arena_of(driver)
    leases = [arena.acquire(KIB) for _ in range(3)]
    first, second = (arena.framebuffer((lease,)) for lease in leases[:2])
    assert driver.released == []
    assert arena.framebuffer((leases[0],)) is first
    third = arena.framebuffer((leases[2],))
    assert driver.released == [second]
    assert driver.fbo is third
    assert arena.framebuffer((leases[0],)) is first


def test_the_driver_may_refuse() -> None:
    driver = FakeDriver()
    arena = arena_of(driver)
    lease = arena.acquire(KIB)
    driver.error = "GL_OUT_OF_MEMORY"
    with pytest.raises(DeviceError, match="refused a texture of 8 x 4 rgba32i texels: GL_OUT_OF"):
        arena.acquire(HALF)
    assert arena.allocated_bytes == 1024
    assert len(driver.released) == 1
    lease.handle.glo = -1
    with pytest.raises(DeviceError, match="cannot draw to textures of rgba32f: incomplete"):
        arena.framebuffer((lease,))


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("GL_CONTEXT_LOST", DeviceLostError, r"context was lost \(GL_CONTEXT_LOST\)"),
        ("GL_UNKNOWN_ERROR", DeviceLostError, r"context was lost \(GL_UNKNOWN_ERROR\)"),
        ("GL_INVALID_VALUE", DeviceError, "the OpenGL driver Fake reported GL_INVALID_VALUE"),
    ],
)
def test_a_lost_context_is_told_from_other_errors(
    error: str, kind: type[DeviceError], said: str
) -> None:
    driver = FakeDriver()
    context = GlContext(driver, 1 << 20, 1 << 20)  # type: ignore[arg-type]
    context.check()
    driver.error = error
    with pytest.raises(DeviceError, match=said) as caught:
        context.check()
    assert type(caught.value) is kind
