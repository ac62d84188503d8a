"""Run a linked wasm module in Node: the engine of Chromium, in a process of its own.

In: a `WasmModule` and arrays. Out: the output arrays, filled, and the time of each call. Tests run
the same bytes here and in wasmtime; benchmarks use it because V8 is what most web pages run.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct

from tilewright.codegen_cpu.wasm_module import WasmModule
from tilewright.codegen_cpu.wasm_run import Array, MemoryPlan, memory_limit_error, plan_memory
from tilewright.ir.errors import DeviceError, IRError

_SCRIPT: Final = Path(__file__).with_suffix(".mjs")
_OLDEST: Final = 18
_RELAXED_SIMD_SINCE: Final = 21
_RELAXED_SIMD_FLAG: Final = "--experimental-wasm-relaxed-simd"


class Node(Struct, frozen=True):
    """An installed Node."""

    path: str
    major: int

    def command(self, module: WasmModule) -> list[str]:
        """How to start it so that it accepts the module's instructions."""
        needs_flag = "relaxed-simd" in module.features and self.major < _RELAXED_SIMD_SINCE
        return [self.path, *([_RELAXED_SIMD_FLAG] if needs_flag else [])]


def find_node() -> Node:
    """The Node on the search path; a `DeviceError` where there is none that is new enough."""
    path = shutil.which("node")
    advice = f"install Node {_OLDEST} or newer from https://nodejs.org"
    if path is None:
        raise DeviceError("there is no 'node' on the search path", help=advice)
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"v(\d+)\.", version.stdout)
    if match is None or int(match[1]) < _OLDEST:
        raise DeviceError(f"{path} has version {version.stdout.strip() or 'unknown'}", help=advice)
    return Node(path, int(match[1]))


def run_in_node(
    node: Node,
    module: WasmModule,
    inputs: Sequence[Array],
    outputs: Sequence[Array],
    *,
    constants: Sequence[Array] = (),
    symbols: Sequence[int] = (),
    workspace_size: int = 0,
    repeat: int = 1,
) -> list[float]:
    """Call ``tw_main`` `repeat` times, copy its results into `outputs`, and return the
    milliseconds that each call took."""
    arrays = (*inputs, *outputs, *constants)
    sizes = [array.nbytes for array in arrays]
    plan = plan_memory(module.heap_base, sizes, len(symbols), workspace_size)
    if plan.end > module.memory_limit:
        raise memory_limit_error(plan.end, module.memory_limit)
    written = _written_arrays(plan, inputs, constants, symbols)
    results = plan.addresses[len(inputs) : len(inputs) + len(outputs)]
    with tempfile.TemporaryDirectory(prefix="tilewright-") as name:
        folder = Path(name)
        request = _write_request(folder, module, plan, written, repeat)
        request["reads"] = [
            {"address": address, "size": output.nbytes}
            for address, output in zip(results, outputs, strict=True)
        ]
        (folder / "request.json").write_text(json.dumps(request))
        milliseconds = _call_script(node.command(module), folder / "request.json")
        _read_outputs((folder / "result").read_bytes(), outputs)
    return milliseconds


def _written_arrays(
    plan: MemoryPlan, inputs: Sequence[Array], constants: Sequence[Array], symbols: Sequence[int]
) -> list[tuple[int, Array]]:
    """Everything that must be in memory before the call, with its address."""
    first_constant = len(plan.addresses) - len(constants)
    return [
        *zip(plan.addresses, inputs, strict=False),  # outputs and constants follow the inputs
        *zip(plan.addresses[first_constant:], constants, strict=True),
        (plan.arguments, np.array(plan.addresses, np.uint32)),
        (plan.symbols, np.array(symbols, np.int64)),
    ]


def _write_request(
    folder: Path,
    module: WasmModule,
    plan: MemoryPlan,
    written: Sequence[tuple[int, Array]],
    repeat: int,
) -> dict[str, Any]:
    """Put the module and the arrays into files, and describe them for the script."""
    (folder / "module.wasm").write_bytes(module.binary)
    for index, (_, array) in enumerate(written):
        (folder / f"array{index}").write_bytes(array.tobytes())
    return {
        "module": str(folder / "module.wasm"),
        "importedPages": module.memory_pages if module.imports_memory else 0,
        "writes": [
            {"address": address, "path": str(folder / f"array{index}")}
            for index, (address, _) in enumerate(written)
        ],
        "args": plan.arguments,
        "symbols": plan.symbols,
        "workspace": plan.workspace,
        "end": plan.end,
        "repeat": repeat,
        "result": str(folder / "result"),
    }


def _call_script(command: Sequence[str], request: Path) -> list[float]:
    done = subprocess.run(
        [*command, str(_SCRIPT), str(request)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DeviceError(f"node failed: {done.stderr.strip() or f'exit code {done.returncode}'}")
    answer = json.loads(done.stdout)
    if "trap" in answer:
        raise IRError(f"the wasm code trapped: {answer['trap']}")
    if answer["status"] != 0:
        raise IRError(f"tw_main returned {answer['status']}, expected 0")
    return [float(time) for time in answer["milliseconds"]]


def _read_outputs(data: bytes, outputs: Sequence[Array]) -> None:
    position = 0
    for output in outputs:
        part = data[position : position + output.nbytes]
        output[...] = np.frombuffer(part, output.dtype).reshape(output.shape)
        position += output.nbytes
