"""The WebGL 2 device of a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.codegen_glsl.array_spec import (
    array_spec,
    check_layout,
    check_same,
    on_another_device,
)
from tilewright.codegen_glsl.check import check_program
from tilewright.codegen_glsl.probe import GlFacts, judge, self_test
from tilewright.ir.gpu_encoding import describe_program
from tilewright.ir.transfer import pack
from tilewright.runtime_web.runner.device import BrowserDevice
from tilewright.runtime_web.runner.device_array import BrowserArray, GlslBrowserArray
from tilewright.runtime_web.runner.session import software_not_allowed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.ir.artifact import BufferSpec, GpuProgram
    from tilewright.runtime_web.runner.session import Session


class WebGlBrowserDevice(BrowserDevice[GlFacts]):
    """An open WebGL 2 device; may be used from any thread."""

    target = "glsl"
    array_class = GlslBrowserArray

    @property
    def facts(self) -> GlFacts:
        """What was opened."""
        return self._facts

    @property
    def name(self) -> str:
        return self.facts.renderer

    def check(self, program: GpuProgram) -> None:
        """Raise if the program cannot run here."""
        check_program(program, self.facts)

    def upload(self, array: NDArray[Any]) -> BrowserArray:
        """Copy a host array to the device, in the layout that kernels use by default."""
        spec = array_spec(array, self.facts)
        return self.hold(pack(array, spec, "the array"), spec)

    def fit(self, array: BrowserArray, spec: BufferSpec, name: str) -> BrowserArray:
        """The array, if it can be bound where a program expects `spec`."""
        check_same(spec, array.spec)
        if array.device is not self:
            raise on_another_device(array.shape)
        check_layout(spec, array.spec)
        return array

    def _describe(self, session: Session) -> GlFacts:
        program, inputs = self_test()
        loaded = session.request("load", program=describe_program(program)).answer["program"]
        request = {"program": loaded, "inputs": [None] * len(inputs), "keep": False}
        reply = session.request("run", inputs, **request)
        session.drop(loaded)
        specs = [program.buffers[index] for index in program.outputs]
        floats, ints = (
            np.frombuffer(b, s.storage) for b, s in zip(reply.blobs, specs, strict=True)
        )
        facts = GlFacts(**{**session.facts, **judge(floats, ints, self.options.half_float)})
        if self.options.adapter == "hardware" and facts.is_software:
            raise software_not_allowed(facts.renderer)
        return facts
