"""One legal kernel -> one WGSL shader.

In: a kernel whose outermost statements are at most one ``group`` loop around at most one ``local``
loop. Out: the text, the number of workgroups, and which parameters it reads and writes. Names of
the program do not appear in the text, so kernels of one form share a pipeline.
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.codegen_wgsl.emit import types
from tilewright.codegen_wgsl.emit.layout import WIDTH
from tilewright.codegen_wgsl.emit.statements import StatementEmitter
from tilewright.codegen_wgsl.emit.uses import CountingEnvironment
from tilewright.codegen_wgsl.half_probe import ENABLE_HALF
from tilewright.codegen_wgsl.keywords import ENABLE_SUBGROUPS
from tilewright.ir.dtypes import F16
from tilewright.ir.emit.environment import Value
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Var, post_order
from tilewright.ir.kernel import (
    Buffer,
    For,
    Kernel,
    Stmt,
    expressions,
    loaded_buffers,
    statements,
    stored_roots,
)
from tilewright.ir.subgroups import Subgroups

ENTRY_POINT = "main"
GROUPS_PER_DIMENSION = 65535
_SUBGROUP_INPUTS = (
    ", @builtin(subgroup_size) subgroup_size: u32, @builtin(num_subgroups) subgroup_count: u32, "
    "@builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) place: u32"
)


class Shader(Struct, frozen=True, eq=False):
    """`source` binds `parameters` in this order, then the uniforms if there are any symbols.
    `subgroups` are the fewest invocations of a subgroup, and all those of a workgroup, where it
    knows of subgroups."""

    source: str
    grid: tuple[int, int, int]
    parameters: tuple[Buffer, ...]
    written: tuple[Buffer, ...]
    symbols: tuple[Var, ...]
    subgroups: tuple[int, int] | None = None


def emit_kernel(kernel: Kernel, *, native_half: bool = False) -> Shader:
    """The WGSL form of a legal kernel; `native_half`: with float16 as a type."""
    emitter = _ShaderEmitter(kernel)
    emitter.native_half = native_half
    return emitter.emit()


def fold_grid(groups: int) -> tuple[int, int, int]:
    """A grid of at least `groups` workgroups whose dimensions keep the limit."""
    if groups <= GROUPS_PER_DIMENSION:
        return groups, 1, 1
    rows = -(-groups // GROUPS_PER_DIMENSION)
    return -(-groups // rows), rows, 1


class _ShaderEmitter(StatementEmitter):
    def __init__(self, kernel: Kernel) -> None:
        names = {b.root: f"b{k}" for k, b in enumerate(kernel.parameters)}
        kept = [b for b in kernel.locals if b.base is None and b.space in ("workgroup", "scratch")]
        names |= {b: f"{b.space[0]}{k}" for k, b in enumerate(kept)}
        super().__init__(kernel, CountingEnvironment(kernel.body), names)
        self.kernel = kernel
        self.kept = kept
        loaded = {b.root for b in loaded_buffers(kernel.body)}
        stored = stored_roots(kernel.body)
        self.shared = tuple(b for b in stored if b.space == "workgroup" or b in loaded)

    def emit(self) -> Shader:
        group, local, body = _peel(self.kernel.body)
        groups, threads = _static(group), _static(local)
        grid = fold_grid(groups)
        self._bind_symbols()
        self._bind_invocation(group, local, grid)
        if grid[0] * grid[1] > groups:
            assert group is not None
            self.function.begin("everything")
            self.block(body)
            index = self.environment.bindings[group.var]
            assert isinstance(index, Value)
            self.function.end(f"if ({index.text} < {groups}) {{")
        else:
            self.block(body)
        written = self.kernel.written
        subgroups = local.subgroups if local is not None else None
        return Shader(
            self._text(threads, subgroups is not None),
            grid,
            self.kernel.parameters,
            written,
            self.kernel.symbols,
            (subgroups.least, threads) if subgroups else None,
        )

    def _bind_symbols(self) -> None:
        for k, symbol in enumerate(self.kernel.symbols):
            text = f"i32(u[{k // WIDTH}].{'xyzw'[k % WIDTH]})"
            self.environment.bindings[symbol] = Value(self.function.let(text, 0), 1, 0)

    def _bind_invocation(
        self, group: For | None, local: For | None, grid: tuple[int, int, int]
    ) -> None:
        if group is not None:
            text = "i32(group.x)"
            if grid[1] > 1:
                text = f"i32(group.x + group.y * {grid[0]}u)"
            self.environment.bindings[group.var] = Value(self.function.let(text, 0), 1, 0)
        if local is not None:
            name = self.function.let("i32(lane)", 0)
            self.environment.bindings[local.var] = Value(name, 1, 0)
            self._bind_subgroups(local.subgroups)

    def _bind_subgroups(self, subgroups: Subgroups | None) -> None:
        if subgroups is None:
            return
        texts = (
            "countTrailingZeros(subgroup_size)",
            "subgroup_size",
            "subgroup_count",
            "subgroup",
            "place",
        )
        for variable, text in zip(subgroups.variables, texts, strict=True):
            name = self.function.let(f"i32({text})", 0)
            self.environment.bindings[variable] = Value(name, 1, 0)

    # The text around the body.

    def _text(self, threads: int, subgroups: bool) -> str:
        parts = [ENABLE_HALF] if self.native_half and _has_half(self.kernel) else []
        parts += [ENABLE_SUBGROUPS] if subgroups else []
        parts += [self._bindings(), *self._module_variables()]
        parts.append("")
        parts.append(f"@compute @workgroup_size({threads})")
        parts.append(
            f"fn {ENTRY_POINT}(@builtin(workgroup_id) group: vec3<u32>, "
            f"@builtin(local_invocation_index) lane: u32{_SUBGROUP_INPUTS if subgroups else ''}) {{"
        )
        body = [*self.declarations, *self._scratch(), *self.function.stack[0].lines]
        parts += [f"  {line}" for line in body]
        parts.append("}")
        return "\n".join(parts) + "\n"

    def _bindings(self) -> str:
        written = set(self.kernel.written)
        lines = []
        for k, buffer in enumerate(self.kernel.parameters):
            access = "read_write" if buffer in written else "read"
            kind = self._array(buffer)
            lines.append(f"@group(0) @binding({k}) var<storage, {access}> b{k}: {kind};")
        if self.kernel.symbols:
            count = -(-len(self.kernel.symbols) // WIDTH)
            binding = len(self.kernel.parameters)
            lines.append(
                f"@group(0) @binding({binding}) var<uniform> u: array<vec4<u32>, {count}>;"
            )
        return "\n".join(lines)

    def _module_variables(self) -> list[str]:
        lines = [
            f"var<workgroup> {self.names[b]}: {self._array(b)};"
            for b in self.kept
            if b.space == "workgroup"
        ]
        lines += [
            f"var<private> {name}: u32 = {bits:#010x}u;" for bits, name in self.opaque.items()
        ]
        return lines

    def _scratch(self) -> list[str]:
        return [
            f"var {self.names[b]}: {self._array(b)};" for b in self.kept if b.space == "scratch"
        ]

    def _array(self, buffer: Buffer) -> str:
        size = max(1, element_count(buffer))
        element = types.scalar(buffer.dtype)
        if buffer in self.wide:
            return f"array<vec4<{element}>, {-(-size // WIDTH)}>"
        return f"array<{element}, {size}>"


def element_count(buffer: Buffer) -> int:
    """The number of elements of a buffer whose shape is static."""
    size = 1
    for extent in buffer.shape:
        if not isinstance(extent, int):
            raise IRError(f"buffer {buffer.name} has no static size")
        size *= extent
    return size


def _has_half(kernel: Kernel) -> bool:
    buffers = (*kernel.parameters, *kernel.locals)
    roots = [e for s in statements(kernel.body) for e in expressions(s)]
    return F16 in {b.dtype for b in buffers} | {node.dtype for node in post_order(roots)}


def _peel(body: tuple[Stmt, ...]) -> tuple[For | None, For | None, tuple[Stmt, ...]]:
    """The group loop, the local loop, and what is inside of them."""
    group = local = None
    if len(body) == 1 and isinstance(body[0], For) and body[0].kind == "group":
        group, body = body[0], body[0].body
    if len(body) == 1 and isinstance(body[0], For) and body[0].kind == "local":
        local, body = body[0], body[0].body
    return group, local, body


def _static(loop: For | None) -> int:
    if loop is None:
        return 1
    if not isinstance(loop.extent, int):
        raise IRError(f"the extent of {loop.kind} loop {loop.var.name} is not static")
    return loop.extent
