"""What a kernel's first call needs, kept on disk under the fingerprint of its function.

An entry names the artifact in the same cache, and holds the interface. Where values of int
arguments decide the graph, the entry of the types holds their names only, and that of the types and
these values holds the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import Struct, json
from msgspec.structs import replace

from tilewright.compiler.cache.fingerprint import DoubtError, Fingerprint
from tilewright.compiler.decode_interface import decode_interface
from tilewright.compiler.specialization import Specialization
from tilewright.compiler.targets import BuildOptions, open_target
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tilewright.compiler.cache import ArtifactCache
    from tilewright.compiler.cache.dependencies import Dependencies
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.trace.run import Traced

_VERSION: Final = "front 1"


class Request(Struct, frozen=True):
    """A kernel's function for arguments of these types, on a target; `ints` are the values.

    `tuning` changes with the tuning records, which may give the kernel other schedules.
    """

    function: Callable[..., Any]
    specs: Mapping[str, ArgumentSpec]
    ints: Mapping[str, int]
    target: str
    options: BuildOptions
    tuning: tuple[int, int] = (0, 0)


class FrontKey(Struct, frozen=True):
    """Where the entry of a request is kept, and what the request depends on."""

    text: str
    dependencies: Dependencies


def front_key(request: Request, cache: ArtifactCache) -> FrontKey | None:
    """The key of a request; None if not all that it reads can be summed up."""
    found = Fingerprint()
    try:
        found.add(request.function)
        found.add_specs(request.specs)
    except (DoubtError, RecursionError):
        return None
    options = request.options
    schedules = sorted((n, repr(s)) for n, s in (options.schedules or {}).items())
    chosen = repr((request.target, options.numerics, options.f64, schedules, request.tuning))
    versions = f"{sys.version} numpy {np.__version__}"
    text = cache.key_for(_VERSION, versions, chosen, found.hexdigest())
    return FrontKey(text, found.dependencies)


def load_front(
    request: Request, key: FrontKey, runtime: Runtime, trace: Callable[[], Traced]
) -> Specialization | None:
    """The specialisation that an earlier process stored for the same request, if it is there."""
    try:
        entry = _entry(key.text, runtime.cache)
        if entry is not None and "needs" in entry:
            entry = _entry(with_values(key.text, entry["needs"], request, runtime), runtime.cache)
        if entry is None or "interface" not in entry:
            return None
        return _specialization(entry, request, key, runtime, trace)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None  # not what `store_front` wrote


def _specialization(
    entry: dict[str, Any],
    request: Request,
    key: FrontKey,
    runtime: Runtime,
    trace: Callable[[], Traced],
) -> Specialization | None:
    shapes = [s.shape for s in request.specs.values() if isinstance(s, ArraySpec)]
    symbols = tuple(dict.fromkeys(s for shape in shapes for s in shape if not isinstance(s, int)))
    interface = decode_interface(entry["interface"], symbols)
    artifact = runtime.cache.load_artifact(entry["artifact"], symbols)
    if artifact is None:
        return None
    specs = {
        name: StaticSpec(request.ints[name])
        if name in interface.specialized
        else interface.specs[name]
        if isinstance(spec, ScalarSpec)
        else spec
        for name, spec in request.specs.items()
    }
    target = open_target(request.target, runtime)
    return Specialization(
        interface=replace(interface, specs=specs),
        target=target,
        artifact=target.finish(artifact),
        options=request.options,
        trace=trace,
        dependencies=key.dependencies,
        key=entry["artifact"],
    )


def _entry(key: str, cache: ArtifactCache) -> dict[str, Any] | None:
    data = cache.get(key)
    if data is None:
        return None
    entry = json.decode(data)
    return entry if isinstance(entry, dict) else None


def with_values(key: str, needs: list[str], request: Request, runtime: Runtime) -> str:
    """The key under which the entry of a request lies whose ints `needs` decide the graph."""
    return runtime.cache.key_for(key, repr([(name, request.ints[name]) for name in needs]))
