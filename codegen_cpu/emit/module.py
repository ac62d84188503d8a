"""A lowered program -> one LLVM module with the entry points ``tw_main`` and maybe ``tw_init``.

``i32 tw_main(ptr runtime, ptr args, ptr symbols, ptr workspace)``: `args` holds the addresses of
the inputs, outputs, constants and packed buffers, in this order; `symbols` the open dimensions
(int64); temporaries lie in the workspace where the memory plan puts them. ``tw_init`` takes the
same, uses constants and packed buffers only, and is to be called before.

Both return 0, or `INTERRUPTED` where ``tw_poll`` said so. Loops call
``i32 tw_poll(ptr runtime, ptr last, i32 rounds)``: `last` are 8 bytes of its own, 0 at first;
`rounds` passed since the last poll. The result is how many are to pass until the next, or 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tilewright.codegen_cpu.artifact import INTERRUPTED
from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.kernel import NAME, emit_kernel
from tilewright.codegen_cpu.emit.operations import Spelling
from tilewright.codegen_cpu.emit.rare import NAME as RARE
from tilewright.codegen_cpu.emit.statements import StatementEmitter
from tilewright.codegen_cpu.emit.types import Types
from tilewright.codegen_cpu.target import CpuTarget
from tilewright.ir import build
from tilewright.ir.emit.environment import Value
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Size
from tilewright.ir.kernel import Buffer, Kernel
from tilewright.ir.legal.integers import legal_size
from tilewright.ir.lower.drop_fixed_positions import drop_fixed_positions
from tilewright.ir.program import Copy, Launch, Program, Repeat, RepeatWhile, Step, kernels
from tilewright.ir.text.print_kernel import print_kernel
from tilewright.ir.text.style import CANONICAL

MAIN = "tw_main"
INIT = "tw_init"
DISPATCH = """\
define internal void @tw_dispatch(ptr %runtime, ptr %task, ptr %context, i64 %count) nounwind {
entry:
  %alone = icmp eq ptr %runtime, null
  %some = icmp sgt i64 %count, 0
  %serial = and i1 %alone, %some
  br i1 %serial, label %loop, label %maybe
loop:
  %k = phi i64 [0, %entry], [%next, %loop]
  call void %task(ptr %context, i64 %k)
  %next = add i64 %k, 1
  %again = icmp slt i64 %next, %count
  br i1 %again, label %loop, label %done
maybe:
  br i1 %alone, label %done, label %pool
pool:
  %run = load ptr, ptr %runtime, align 8
  %slot = getelementptr ptr, ptr %runtime, i64 1
  %self = load ptr, ptr %slot, align 8
  call void %run(ptr %self, ptr %task, ptr %context, i64 %count)
  br label %done
done:
  ret void
}"""

# The host sets the word while a thread of its own waits in the module.
WASM_POLL = """\
define internal i32 @tw_poll(ptr %runtime, ptr %last, i32 %rounds) nounwind {
entry:
  %alone = icmp eq ptr %runtime, null
  br i1 %alone, label %never, label %look
look:
  %stop = load volatile i32, ptr %runtime, align 4
  %more = icmp eq i32 %stop, 0
  %result = zext i1 %more to i32
  ret i32 %result
never:
  ret i32 2147483647
}"""


class KernelFunctions:
    """The functions of kernels; equal kernels share one, and are emitted once.

    `alone`: there is but one, and nothing to share.
    """

    def __init__(self, target: CpuTarget, alone: bool) -> None:
        self.target = target
        self.alone = alone
        self.types = Types(target.index_bits, target.vector_bits)
        register_bits = 0 if target.architecture == "wasm32" else target.vector_bits
        self.spelling = Spelling(
            self.types, target.has_gather, target.has_byte_tables, register_bits
        )
        self.texts: list[str] = []
        self._names: dict[str, str] = {}

    def shared(self, kernel: Kernel) -> tuple[str, tuple[int, ...]]:
        """The name of the kernel's function, and how many elements behind the beginning of its
        parameters the addresses are that it takes."""
        if self.alone:
            return self._name(kernel, ""), (0,) * len(kernel.parameters)
        kernel, offsets = drop_fixed_positions(kernel)
        return self._name(kernel, print_kernel(kernel, CANONICAL)), offsets

    def _name(self, kernel: Kernel, key: str) -> str:
        if key not in self._names:
            # The name must not come from the user: LLVM reads it as part of the text.
            name = self._names[key] = f"@k{len(self._names)}"
            texts = emit_kernel(kernel, self.types, self.spelling, self.target.has_threads)
            self.texts += [text.replace(NAME, name) for text in texts]
        return self._names[key]


class EntryEmitter(StatementEmitter):
    """An entry point, and through it every kernel that it calls."""

    def __init__(
        self,
        name: str,
        program: Program,
        offsets: Mapping[Buffer, Size],
        functions: KernelFunctions,
        first_poll: int,
    ) -> None:
        function = FunctionText(
            f"define i32 @{name}(ptr %runtime, ptr %args, ptr %symbols, ptr %workspace) nounwind"
        )
        super().__init__(function, functions.types, functions.spelling, {})
        self.program = program
        self.functions = functions
        self._bind(offsets)
        self._first_poll = first_poll
        if first_poll:
            self._left, self._rounds = (
                self._on_stack("i32", first_poll),
                self._on_stack("i32", first_poll),
            )
            self._last = self._on_stack("i64", 0)

    def emit(self, steps: Sequence[Step]) -> str:
        """The text of the function that runs `steps`."""
        self._steps(steps)
        self.function.current.terminator = "ret i32 0"
        return self.function.text()

    def _on_stack(self, kind: str, value: int) -> str:
        name = self.function.assign(f"alloca {kind}, align 8")
        self.function.line(f"store {kind} {value}, ptr {name}")
        return name

    def _bind(self, offsets: Mapping[Buffer, Size]) -> None:
        function, program = self.function, self.program
        for k, symbol in enumerate(program.symbols):
            slot = function.assign(f"getelementptr i64, ptr %symbols, i64 {k}")
            text = function.assign(f"load i64, ptr {slot}, align 8")
            if self.types.index_bits < 64:
                text = function.assign(f"trunc i64 {text} to {self.types.index}")
            self.environment.bindings[symbol] = Value(text, 1, 0)
        bound = [*program.inputs, *program.outputs, *(b for b, _ in program.constants)]
        for k, buffer in enumerate([*bound, *program.packed]):
            slot = function.assign(f"getelementptr ptr, ptr %args, i64 {k}")
            self.pointers[buffer] = function.assign(f"load ptr, ptr {slot}")
        for buffer, offset in offsets.items():
            place = self._size(offset)
            self.pointers[buffer] = function.assign(
                f"getelementptr i8, ptr %workspace, {self.types.index} {place}"
            )

    def _size(self, size: Size) -> str:
        """The value of a size over open dimensions; those of kernels are legal already."""
        return self.evaluate(build.index(legal_size(size))).text

    def _steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case Launch():
                    self._launch(step.kernel)
                case Copy():
                    self._copy(step)
                case Repeat():
                    self._repeat(step)
                case RepeatWhile():
                    self._repeat_while(step)
                case _:
                    raise IRError(f"{type(step).__name__} was not lowered")

    def _launch(self, kernel: Kernel) -> None:
        name, offsets = self.functions.shared(kernel)
        operands = ["ptr %runtime"]
        for parameter, offset in zip(kernel.parameters, offsets, strict=True):
            pointer = self.pointers[parameter.root]
            if offset:
                element = self.types.memory(parameter.dtype)
                place = f"getelementptr {element}, ptr {pointer}, {self.types.index} {offset}"
                pointer = self.function.assign(place)
            operands.append(f"ptr {pointer}")
        operands += [f"{self.types.index} {self.evaluate(s).text}" for s in kernel.symbols]
        self.function.line(f"call void {name}({', '.join(operands)})")
        for parameter in kernel.written:
            self.environment.stored(parameter.root)

    def _copy(self, step: Copy) -> None:
        size = build.size_mul(build.product(step.source.shape), step.source.dtype.itemsize)
        count = self._size(size)
        index = self.types.index
        target, source = self.pointers[step.target.root], self.pointers[step.source.root]
        pointers = [("ptr", target), ("ptr", source), (index, count)]
        move = self.spelling.call(f"llvm.memmove.p0.p0.{index}", "void", pointers, "i1 false")
        self.function.line(move)
        self.environment.stored(step.target.root)

    def _repeat(self, step: Repeat) -> None:
        """The counter is tested before every round: the count may be zero."""
        function, index = self.function, self.types.index
        assert step.counter.extent is not None
        extent = self._size(step.counter.extent)
        before, test = function.current, function.new_block("test")
        body, after = function.new_block("body"), function.new_block("end")
        self._enter_loop(step.steps)
        before.terminator = f"br label %{test.name}"
        function.open(test)
        counter = function.name()
        test.lines.append("")
        more = function.assign(f"icmp slt {index} {counter}, {extent}")
        test.terminator = f"br i1 {more}, label %{body.name}, label %{after.name}"
        function.open(body)
        self.environment.bindings[step.counter] = Value(counter, 1, function.depth)
        self._steps(step.steps)
        self._poll()
        following = function.assign(f"add nuw nsw {index} {counter}, 1")
        latch = function.current
        latch.terminator = f"br label %{test.name}"
        test.lines[0] = f"{counter} = phi {index} [0, %{before.name}], [{following}, %{latch.name}]"
        function.leave()
        function.open(after)

    def _repeat_while(self, step: RepeatWhile) -> None:
        function = self.function
        before, test = function.current, function.new_block("test")
        body, after = function.new_block("body"), function.new_block("end")
        self._enter_loop((*step.test, *step.body))
        before.terminator = f"br label %{test.name}"
        function.open(test)
        self._steps(step.test)
        flag = function.assign(f"load i8, ptr {self.pointers[step.condition.root]}")
        more = function.assign(f"icmp ne i8 {flag}, 0")
        function.current.terminator = f"br i1 {more}, label %{body.name}, label %{after.name}"
        function.open(body)
        self._steps(step.body)
        self._poll()
        function.current.terminator = f"br label %{test.name}"
        function.leave()
        function.open(after)

    def _poll(self) -> None:
        """Count a round; after enough of them ask whether to go on."""
        if not self._first_poll:
            return
        function = self.function
        poll, stop = function.new_block("poll"), function.new_block("stop")
        following = function.new_block("next")
        left = function.assign(f"load i32, ptr {self._left}")
        fewer = function.assign(f"sub i32 {left}, 1")
        function.line(f"store i32 {fewer}, ptr {self._left}")
        due = function.assign(f"icmp eq i32 {fewer}, 0")
        function.current.terminator = f"br i1 {due}, label %{poll.name}, label %{following.name}"
        function.open(poll)
        rounds = function.assign(f"load i32, ptr {self._rounds}")
        call = f"call i32 @tw_poll(ptr %runtime, ptr {self._last}, i32 {rounds})"
        until = function.assign(call)
        for variable in (self._left, self._rounds):
            function.line(f"store i32 {until}, ptr {variable}")
        ends = function.assign(f"icmp eq i32 {until}, 0")
        function.current.terminator = f"br i1 {ends}, label %{stop.name}, label %{following.name}"
        function.open(stop)
        stop.terminator = f"ret i32 {INTERRUPTED}"
        function.open(following)

    def _enter_loop(self, steps: Sequence[Step]) -> None:
        """Begin a loop that may not run; what it changes has to be read in it."""
        written = frozenset(_written(steps))
        for root in written:
            self.environment.stored(root)
        self.function.begin("loads", written)


def _written(steps: Sequence[Step]) -> Iterator[Buffer]:
    """The storage that the steps write."""
    for step in steps:
        match step:
            case Launch():
                yield from (b.root for b in step.kernel.written)
            case Copy():
                yield step.target.root
            case Repeat():
                yield from _written(step.steps)
            case RepeatWhile():
                yield from _written((*step.test, *step.body))


def emit_program(
    program: Program, offsets: Mapping[Buffer, Size], target: CpuTarget, first_poll: int = 0
) -> str:
    """LLVM IR text of a lowered program whose temporaries lie at `offsets` in the workspace.

    Loops poll after `first_poll` rounds, and as ``tw_poll`` says from then on; never if it is 0.
    """
    functions = KernelFunctions(target, len(kernels((*program.init, *program.steps))) == 1)
    entries = [EntryEmitter(MAIN, program, offsets, functions, first_poll).emit(program.steps)]
    if program.init:
        entries.append(EntryEmitter(INIT, program, {}, functions, 0).emit(program.init))
    parts = [f'target triple = "{target.triple}"']
    # LLVM compiles what nobody calls, too, and as no pass runs it would stay.
    parts += [DISPATCH] if any("@tw_dispatch(" in text for text in functions.texts) else []
    if first_poll:
        on_wasm = target.architecture == "wasm32"
        parts.append(WASM_POLL if on_wasm else "declare i32 @tw_poll(ptr, ptr, i32)")
    parts += [*functions.spelling.functions(RARE), *functions.texts, *entries]
    parts += sorted(functions.spelling.declarations)
    return "\n\n".join(parts) + "\n"
