"""What printed IR shows besides the meaning, and the words that names may not be."""

from __future__ import annotations

import re

from msgspec import Struct

from tilewright.ir import dtypes, ops


class Style(Struct, frozen=True):
    """What to print besides what is computed.

    * `names`: the (sanitised) names that tensors, buffers, variables and kernels were given;
      otherwise names count up, so that equal IR prints equally whatever it was called.
    * `labels`: what the user wrote (``"np.max"``); `locations`: where.
    """

    names: bool = True
    labels: bool = True
    locations: bool = False


READABLE = Style()
FULL = Style(locations=True)
CANONICAL = Style(names=False, labels=False)

KEYWORDS = frozenset(
    """
    argsort at axis barrier bits body captures check compute constant copy data else exchange false
    for fragment from global graph group if inf init into kernel lanes launch let local loop nan
    nest note of ordered over packed parallel program put reduce register repeat reshape
    result return scan scatter scratch serial sort stage strides subgroups temporary test true
    unroll vector view while within workgroup wraps
    """.split()  # noqa: SIM905 - a list of words is easier to read as one
)
RESERVED = KEYWORDS | frozenset(ops.OPS) | {d.short for d in (*dtypes.ALL, dtypes.INDEX)}


def legal_name(name: str) -> str:
    """`name` as an identifier of the text format; a name that is one already is left alone."""
    text = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not text or text[0].isdigit():
        text = f"_{text}"
    return f"{text}_" if text in RESERVED or re.fullmatch(r"e\d+", text) else text
