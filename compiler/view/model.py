"""What the page shows, as plain data: in, a compiled kernel; out, a `View`.

Parts are linked by keys: every part has its own and those of the others that it is shown with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import Struct, field

from tilewright.compiler.owners import Owners, lowered_kernels, plain_name
from tilewright.compiler.view.sources import SourceLines, read_sources
from tilewright.ir.artifact import GpuProgram, launches
from tilewright.ir.expr import Const
from tilewright.ir.fuse.program_builder import Fused, build_program
from tilewright.ir.graph import Compute, Constant, Graph, Input, Result, Tensor
from tilewright.ir.kernel import Kernel
from tilewright.ir.printer import print_kernel, print_node, print_schedule
from tilewright.ir.program import Program, kernels, leaves

if TYPE_CHECKING:
    from tilewright.compiler.specialization import Specialization
    from tilewright.ir.analysis.program_figures import LaunchFigures, ProgramFigures
    from tilewright.ir.run_times import RunTimes
    from tilewright.ir.schedule import Schedule

_FUNCTION: Final = re.compile(r"^define .*?^}\n", re.MULTILINE | re.DOTALL)
_MAIN: Final = re.compile(r"define .*@tw_(init|main)\(")
_CALL: Final = re.compile(r"call void @(k\d+)\(")


class Node(Struct, eq=False):
    """A tensor of the graph. `steps` are the numbers of the fused steps that compute it, and
    `stored` says whether it has memory of its own; others are put into their readers."""

    key: str
    tensor: Tensor
    text: str
    steps: tuple[int, ...] = ()
    stored: bool = False
    sources: tuple[int, ...] = ()
    line: str | None = None


class GraphPart(Struct, eq=False):
    """A graph, or the body of a loop: `title` says whose."""

    title: str
    nodes: list[Node]
    outputs: tuple[int, ...]


class LaunchPart(Struct, eq=False):
    """A launch: the step that it came from, its kernel and code, what it does and how long that
    takes (seconds of a call)."""

    key: str
    name: str
    step: int | None
    times: int = 1
    kernel: Kernel | None = None
    code: str = ""
    schedule: str = ""
    figures: LaunchFigures | None = None
    seconds: float | None = None

    @property
    def text(self) -> str:
        return print_kernel(self.kernel) if self.kernel else ""


class View(Struct, eq=False):
    """All that is shown of a kernel."""

    name: str
    target: str
    arguments: tuple[tuple[str, str], ...]
    sources: list[SourceLines]
    graphs: list[GraphPart]
    steps: tuple[str, ...]
    launches: list[LaunchPart]
    specialization: Specialization
    figures: ProgramFigures | None = None
    times: RunTimes | None = None
    call_seconds: float | None = None
    links: dict[str, set[str]] = field(default_factory=dict)

    def link(self, *keys: str | None) -> None:
        """These belong together."""
        known = [k for k in keys if k is not None]
        for key in known:
            self.links.setdefault(key, set()).update(known)

    def shown_with(self, key: str) -> str:
        """The key, and those of everything it is shown with."""
        return " ".join(sorted(self.links.get(key, set()) | {key}))


def make_view(
    name: str,
    function: Any,
    made: Specialization,
    times: RunTimes | None = None,
    call_seconds: float | None = None,
) -> View:
    """Everything about a compiled kernel; `times` and `call_seconds` are what was measured."""
    graph = cast("Graph", made.stage("optimized"))
    fused: list[Fused] = []
    program = build_program(graph, made.target.fusion, "program", fused)
    steps = _step_names(fused, program)
    graphs = _graph_parts(fused, steps)
    view = View(
        name,
        made.target.name,
        tuple((n, str(spec)) for n, spec in made.interface.specs.items()),
        read_sources(function, [n.tensor.loc for part in graphs for n in part.nodes]),
        graphs,
        steps,
        _launches(made, steps, Owners(program)),
        made,
        made.figures(),
        times,
        call_seconds,
    )
    _measure(view)
    _link(view)
    return view


# Graphs.


def _step_names(fused: Sequence[Fused], program: Program) -> tuple[str, ...]:
    """Fused steps by name, in the order in which they run."""
    names = [step.name for step in leaves(program.steps) if hasattr(step, "name")]
    others = [name for part in fused for name in part.step_of.values()]
    return tuple(dict.fromkeys((*names, *others)))


def _graph_parts(fused: Sequence[Fused], steps: Sequence[str]) -> list[GraphPart]:
    """The graph and the bodies of its loops; one that was lowered several times is shown once."""
    step_of: dict[Tensor, set[str]] = {}
    graphs: dict[int, Graph] = {}
    for part in fused:
        graphs.setdefault(id(part.graph), part.graph)
        for tensor, name in part.step_of.items():
            step_of.setdefault(tensor, set()).add(name)
    numbers = {name: k for k, name in enumerate(steps)}
    found: list[GraphPart] = []
    first = 0
    for number, graph in enumerate(graphs.values()):
        title = graph.name if number == 0 else f"body of a loop ({number})"
        made = _graph_part(title, graph, step_of, numbers, first)
        found.append(made)
        first += len(made.nodes)
    return found


def _graph_part(
    title: str,
    graph: Graph,
    step_of: dict[Tensor, set[str]],
    numbers: dict[str, int],
    first: int,
) -> GraphPart:
    tensors = [t for t in graph.nodes() if not _is_number(t)]
    place = {t: k for k, t in enumerate(tensors)}
    computed_in: dict[Tensor, set[str]] = {}
    for tensor in reversed(tensors):  # readers first: what is stored nowhere is computed in them
        own = step_of.get(tensor) or (
            set() if _is_given(tensor) else computed_in.get(tensor, set())
        )
        computed_in[tensor] = set(own)
        for source in tensor.sources:
            computed_in.setdefault(source, set()).update(own)
    nodes = [
        Node(
            f"n{first + k}",
            tensor,
            print_node(tensor) if not isinstance(tensor, Input) else f"%{tensor.name}",
            tuple(sorted(numbers[name] for name in computed_in[tensor])),
            tensor in step_of or _is_given(tensor),
            tuple(place[s] for s in tensor.sources if s in place),
        )
        for k, tensor in enumerate(tensors)
    ]
    outputs = tuple(dict.fromkeys(place[t] for t in graph.roots if t in place))
    return GraphPart(title, nodes, outputs)


def _is_given(tensor: Tensor) -> bool:
    return isinstance(tensor, (Input, Constant, Result))


def _is_number(tensor: Tensor) -> bool:
    """A constant that is part of the expressions that read it."""
    if isinstance(tensor, Compute):
        return not tensor.shape and isinstance(tensor.body, Const)
    return isinstance(tensor, Constant) and tensor.array.size == 1


# Launches.


def _launches(made: Specialization, steps: Sequence[str], owners: Owners) -> list[LaunchPart]:
    lowered = lowered_kernels(made)
    code = list(_code_of(made, lowered))
    chosen: Sequence[tuple[str, Schedule]] = cast("Any", made.stage("schedule"))
    schedules = {name: print_schedule(schedule) for name, schedule in chosen}
    found: list[LaunchPart] = []
    for number, owner in enumerate(owners.of(lowered, [name for name, _ in code])):
        name, text = code[number]
        found.append(
            LaunchPart(
                f"l{number}",
                name,
                None if owner is None else steps.index(owner),
                kernel=lowered[number],
                code=text,
                schedule=schedules.get(plain_name(name)) or schedules.get(owner or "", ""),
            )
        )
    return found


def _code_of(made: Specialization, lowered: Sequence[Kernel]) -> Iterator[tuple[str, str]]:
    """Name and generated code of each kernel."""
    program = getattr(made.artifact, "program", None)
    if isinstance(program, GpuProgram):
        yield from ((launch.name, launch.source) for launch in launches(program.steps))
        return
    functions = _FUNCTION.findall(str(made.stages.get("llvm", "")))
    entries = [match for text in functions if (match := _MAIN.match(text))]
    entries.sort(key=lambda match: match[1] == "main")  # what runs once comes first
    called = [name for match in entries for name in _CALL.findall(match.string)]
    for number, kernel in enumerate(lowered):  # equal kernels are one function
        name = called[number] if len(called) == len(lowered) else None
        own = (f for f in functions if name and re.match(rf"define .*@{name}[.(]", f))
        yield kernel.name, "\n".join(own)


def _measure(view: View) -> None:
    """Give the launches their figures and times, which are of the calls' launches in order."""
    stage = view.specialization.stage("kernel")
    offset = len(kernels(stage.init)) if isinstance(stage, Program) else 0
    shown = view.launches[offset:]
    if view.figures is not None:
        for launch, figures in zip(shown, view.figures.launches, strict=True):
            launch.figures, launch.times = figures, figures.times
    if view.times is not None and view.times.launches:
        for launch, seconds in zip(shown, view.times.launches, strict=True):
            launch.seconds = seconds


# Links.


def _link(view: View) -> None:
    for part in view.graphs:
        for node in part.nodes:
            node.line = _line_key(view, node.tensor)
            view.link(node.key, node.line, *(f"g{k}" for k in node.steps))
    for launch in view.launches:
        if launch.step is None:
            continue
        view.link(launch.key, f"g{launch.step}")
        members = [n for part in view.graphs for n in part.nodes if launch.step in n.steps]
        for node in members:
            view.link(launch.key, node.key)
            view.link(launch.key, node.line)


def _line_key(view: View, tensor: Tensor) -> str | None:
    if tensor.loc is None:
        return None
    return next(
        (s.key_of(tensor.loc.line) for s in view.sources if s.holds(tensor.loc)),
        None,
    )
