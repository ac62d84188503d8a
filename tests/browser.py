"""A headless Chromium that compiles and runs our shaders: Tint for WGSL, ANGLE for GLSL ES 3.00.

In: shader sources, or a `GpuProgram` with host arrays. Out: what the compilers say, or host
arrays. SwiftShader renders, on the CPU. Nothing is fetched: requests of the page are answered here.
"""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from playwright.sync_api import Page, sync_playwright

from tilewright.codegen_wgsl.buffer_sizes import buffer_bytes
from tilewright.ir.artifact import BufferSpec, GpuProgram, Repeat, Step
from tilewright.ir.transfer import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray

HARNESS = Path(__file__).parent / "web" / "harness.js"
# Service workers, secure contexts and WebGPU all accept localhost over plain HTTP.
PAGE = "http://localhost/"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-webgpu",
    "--enable-features=Vulkan",
    "--use-webgpu-adapter=swiftshader",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)


class Browser:
    """One page of one browser; a context manager."""

    def __enter__(self) -> Browser:
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        self._page = self._browser.new_page()
        self._page.route(
            "**/*", lambda route: route.fulfill(content_type="text/html", body="<!doctype html>")
        )
        self._page.goto(PAGE)
        self._page.add_script_tag(content=HARNESS.read_text(encoding="utf-8"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._browser.close()
        self._playwright.stop()

    @property
    def version(self) -> str:
        return self._browser.version

    def open_page(self, width: int, height: int) -> Page:
        """Another page of the same browser, which the caller closes."""
        return self._browser.new_page(viewport={"width": width, "height": height})

    def compile_wgsl(self, sources: Sequence[str], pipelines: bool = True) -> list[list[str]]:
        """What Tint says about each module (``"error 3:14: …"``), and, if that is no error, what
        making a compute pipeline of it says; an empty list means that all is well. Pipelines of
        large shaders take SwiftShader seconds."""
        said: list[list[str]] = self._page.evaluate(
            "([sources, pipelines]) => harness.compileWgsl(sources, pipelines)",
            [list(sources), pipelines],
        )
        return said

    def compile_glsl(self, sources: Sequence[str]) -> list[str]:
        """The log of compiling each fragment shader and linking it; empty if all is well."""
        said: list[str] = self._page.evaluate(
            "(sources) => sources.map(harness.compileGlsl)", list(sources)
        )
        return said

    def run_program(
        self,
        program: GpuProgram,
        inputs: Sequence[NDArray[Any]],
        constants: Sequence[NDArray[Any]] = (),
    ) -> list[NDArray[Any]]:
        """Run `program` through WebGPU or WebGL 2, as its target says."""
        data = program_data(program, inputs, constants)
        return results_of(program, self._page.evaluate("(data) => harness.runProgram(data)", data))


def program_data(
    program: GpuProgram, inputs: Sequence[NDArray[Any]], constants: Sequence[NDArray[Any]] = ()
) -> dict[str, Any]:
    """What `harness.runProgram` takes, as JSON."""
    indexes = [k for k, spec in enumerate(program.buffers) if spec.role == "constant"]
    given = dict(zip((*program.inputs, *indexes), (*inputs, *constants), strict=True))
    return {
        "target": program.target,
        "buffers": [_buffer_data(s, given.get(k)) for k, s in enumerate(program.buffers)],
        "outputs": program.outputs,
        "steps": [_step_data(step) for step in program.steps],
    }


def results_of(program: GpuProgram, texts: Sequence[str]) -> list[NDArray[Any]]:
    """The arrays from what `harness.runProgram` gives."""
    return [
        unpack(np.frombuffer(base64.b64decode(text), np.uint32), program.buffers[index])
        for index, text in zip(program.outputs, texts, strict=True)
    ]


def _buffer_data(spec: BufferSpec, value: NDArray[Any] | None) -> dict[str, Any]:
    words = None if value is None else pack(value, spec, spec.role)
    return {
        "bytes": buffer_bytes(spec),
        "texture": msgspec.to_builtins(spec.texture) if spec.texture else None,
        "data": None if words is None else base64.b64encode(words.tobytes()).decode(),
    }


def _step_data(step: Step) -> dict[str, Any]:
    if isinstance(step, Repeat):
        steps = [_step_data(inner) for inner in step.steps]
        return {"kind": "Repeat", "count": step.count, "steps": steps}
    return {"kind": type(step).__name__, **msgspec.to_builtins(step)}
