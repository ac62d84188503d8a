"""Which of the arrays that a program writes lie packed, several narrow elements to a word.

In: the lowered steps of a program and the arrays that it writes. Out: those of which every launch
writes whole words (`pack_stores.py`). An element of a packed array cannot be written alone: another
invocation may write its neighbour. So scattered elements, odd rows and arrays that a launch both
reads and writes have a word for each element, and so has what is copied from or to such an array.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tilewright.codegen_wgsl.pack_stores import elements_per_word, pack_stores
from tilewright.ir.dtypes import U32
from tilewright.ir.kernel import Buffer, Kernel, loaded_buffers, stored_roots
from tilewright.ir.program import Copy, Step, kernels, leaves


def choose_packing(steps: Sequence[Step], written: Iterable[Buffer]) -> frozenset[Buffer]:
    """The roots among `written` that can be packed; `steps` are launches, copies and repeats."""
    packed = {root for root in written if elements_per_word(root.dtype) > 1}
    for kernel in kernels(steps):
        packed -= _in_elements(kernel, packed)
    copies = [(s.source.root, s.target.root) for s in leaves(steps) if isinstance(s, Copy)]
    written = frozenset(written)
    while True:
        # A copy of what lies alike needs no launch. Inputs are packed, whatever becomes of them.
        wide = {a for pair in copies for a in pair if a in written and a not in packed}
        linked = {a for pair in copies if wide.intersection(pair) for a in pair} & packed
        if not linked:
            return frozenset(packed)
        packed -= linked


def _in_elements(kernel: Kernel, roots: Iterable[Buffer]) -> set[Buffer]:
    """Those of `roots` that `kernel` writes otherwise than in whole words, or reads as well."""
    stored = set(stored_roots(kernel.body)).intersection(roots)
    if not stored:
        return set()
    read = {buffer.root for buffer in loaded_buffers(kernel.body)}
    words = {root: Buffer(root.name, (1,), U32) for root in stored - read}
    packed = pack_stores(kernel, words) if words else kernel
    return stored & (read | set(stored_roots(packed.body)))
