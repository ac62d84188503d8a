"""The table of reserved names against a real compiler."""

from __future__ import annotations

import pytest

from tests.codegen_glsl.programs import HEADER
from tilewright.codegen_glsl.context import GlContext
from tilewright.codegen_glsl.device import GlDevice
from tilewright.codegen_glsl.keywords import KEYWORDS, RESERVED_WORDS, is_reserved
from tilewright.ir.errors import DeviceError


def accepts(device: GlDevice, name: str) -> bool:
    source = (
        f"{HEADER}layout(location=0) out vec4 o0;\n"
        f"void main() {{ float {name} = 1.0; o0 = vec4({name}); }}"
    )

    def job(context: GlContext) -> bool:
        try:
            context.shader(name, source)
        except DeviceError:
            return False
        return True

    return device.run(job)


@pytest.mark.glsl
@pytest.mark.parametrize("name", sorted(KEYWORDS))
def test_compiler_refuses_keyword(device: GlDevice, name: str) -> None:
    assert not accepts(device, name)


@pytest.mark.glsl
@pytest.mark.parametrize("name", sorted(RESERVED_WORDS))
def test_compiler_refuses_reserved_word(device: GlDevice, name: str) -> None:
    assert not accepts(device, name)


@pytest.mark.glsl
@pytest.mark.parametrize("name", ["v12", "t0", "x_1", "fn", "self", "loop", "override"])
def test_other_names_are_free(device: GlDevice, name: str) -> None:
    assert not is_reserved(name)
    assert accepts(device, name)


@pytest.mark.parametrize("name", ["gl_x", "webgl_x", "_webgl_x", "a__b", "__a", "while", "sin"])
def test_reserved_names(name: str) -> None:
    assert is_reserved(name)
