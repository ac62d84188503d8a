"""Keeping what a later process needs for the same first call: the entry that `entries` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from tilewright.compiler.cache.entries import FrontKey, Request, front_key, with_values
from tilewright.compiler.encode_interface import encode_interface
from tilewright.compiler.interface import Known, Leaf, Object, Sequence, Structure
from tilewright.ir.errors import UnsupportedError

if TYPE_CHECKING:
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.specialization import Specialization


def store_front(request: Request, key: FrontKey, made: Specialization, runtime: Runtime) -> None:
    """Keep `made` for later processes, unless what it depends on has changed meanwhile."""
    now = front_key(request, runtime.cache)
    if made.key is None or now is None or now.text != key.text:
        return
    if not _is_plain(made.interface.structure):
        return
    try:
        interface = encode_interface(made.interface)
        entry = json.encode({"interface": interface, "artifact": made.key})
    except (UnsupportedError, UnicodeError):  # JSON holds no lone surrogates, file names may
        return
    text = key.text
    needs = sorted(made.interface.specialized)
    if needs:
        runtime.cache.put(text, json.encode({"needs": needs}))
        text = with_values(text, needs, request, runtime)
    runtime.cache.put(text, entry)


def _is_plain(structure: Structure) -> bool:
    """Whether the result is made of arrays, tuples, lists and dicts, and of no named tuples."""
    if isinstance(structure, (Leaf, Known)):
        return True
    if isinstance(structure, Object):
        return False
    if isinstance(structure, Sequence) and structure.kind not in (tuple, list):
        return False
    return all(map(_is_plain, structure.items))
