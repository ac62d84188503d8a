"""Which step of a program each launch came from, and what the user wrote there.

Lowering splits steps (a long reduction, a packed operand) and joins them (a band of filters), so
that there is no list of who became what: the names of launches and what they write tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, cast

from tilewright.ir.kernel import Kernel, loaded_buffers
from tilewright.ir.program import Nest, Ordered, Program, SortRows, kernels, leaves

if TYPE_CHECKING:
    from tilewright.compiler.specialization import Specialization

_NUMBERED: Final = re.compile(r"k\d+_")


class Owners:
    """The steps of a program by what they are called and what they write."""

    def __init__(self, program: Program) -> None:
        self.labels: dict[str, tuple[str, ...]] = {}
        self._writer: dict[str, str] = {}
        for step in leaves(program.steps):
            match step:
                case Nest():
                    labels = dict.fromkeys(s.label for s in step.stages if s.label)
                    self.labels[step.name] = (*self.labels.get(step.name, ()), *labels)
                    targets = [s.target for s in step.stages if s.target not in step.locals]
                    self._writer.update(dict.fromkeys((t.root.name for t in targets), step.name))
                case Ordered() | SortRows():
                    self.labels[step.name] = ("sort" if isinstance(step, SortRows) else "scatter",)
                    self._writer[step.target.root.name] = step.name

    def of(self, kernels: Sequence[Kernel], names: Sequence[str]) -> list[str | None]:
        """The step of each kernel; `names` are those of its launches. One that only prepares what
        another reads is part of the other's step."""
        found = [self._of(k, name) for k, name in zip(kernels, names, strict=True)]
        return [
            owner if owner is not None else self._reader(number, kernels, found)
            for number, owner in enumerate(found)
        ]

    def labels_of(self, step: str | None) -> str:
        """What the user wrote, with commas: ``np.exp, np.divide``."""
        return ", ".join(dict.fromkeys(self.labels.get(step or "", ())))

    def named(self, plain: str) -> str | None:
        """The step of this name, or of the name that this one was made from."""
        found = [s for s in self.labels if plain == s or plain.startswith(f"{s}_")]
        return max(found, key=len, default=None)

    def _of(self, kernel: Kernel, name: str) -> str | None:
        return self.named(plain_name(name)) or next(self._writers(kernel), None)

    def _writers(self, kernel: Kernel) -> Iterator[str]:
        names = (buffer.root.name for buffer in kernel.written)
        return (self._writer[name] for name in names if name in self._writer)

    def _reader(
        self, number: int, kernels: Sequence[Kernel], found: Sequence[str | None]
    ) -> str | None:
        made = {buffer.root for buffer in kernels[number].written}
        for kernel, owner in zip(kernels[number + 1 :], found[number + 1 :], strict=True):
            if owner is not None and made & {b.root for b in loaded_buffers(kernel.body)}:
                return owner
        return None


def lowered_kernels(made: Specialization) -> list[Kernel]:
    """The kernel of each launch, those that run once before all calls first."""
    stage = made.stage("kernel")
    if isinstance(stage, Program):
        return kernels((*stage.init, *stage.steps))
    return list(cast("Sequence[Kernel]", stage))


def plain_name(launch: str) -> str:
    """The name without the number that some back ends put in front of it."""
    return _NUMBERED.sub("", launch)
