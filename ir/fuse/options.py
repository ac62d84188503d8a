"""What a target lets fusion do."""

from __future__ import annotations

from msgspec import Struct


class FusionOptions(Struct, frozen=True):
    """Limits of one target.

    `rows`: a launch may hold stages with axes of their own, that is, visit the data of one outer
    point several times (a CPU task, a workgroup). Without it (fragment shaders) only reductions
    followed by one element-wise result are fused. `most_inputs` and `most_outputs` bound the
    global buffers of a launch. `scratch_bytes` is the memory for intermediate rows; larger ones are
    global temporaries. `large_own` is the work per outer point beyond which a row launch needs many
    outer points to keep the device busy. `few_columns`: maps do not walk down fewer columns
    together with the reductions of them, but row by row in a launch of their own.
    `repeated_rows`: gathers are so slow that a launch of its own pays for those that rows of an
    output repeat. `outer_counters`: launches of an inner loop may use the numbers of the rounds of
    outer ones. `in_place`: a launch may write the buffer that it reads, and over as many points as
    the number of the round says.
    """

    rows: bool = True
    most_inputs: int = 64
    most_outputs: int = 64
    scratch_bytes: int = 64 << 10
    large_own: int = 1 << 14
    few_points: int = 16
    few_columns: int = 0
    repeated_rows: bool = False
    outer_counters: bool = True
    in_place: bool = False


CPU = FusionOptions(repeated_rows=True, few_columns=4096, in_place=True)
WORKGROUP = FusionOptions(
    most_inputs=6,
    most_outputs=2,
    scratch_bytes=8 << 10,
    outer_counters=False,
)
FRAGMENT = FusionOptions(rows=False, most_inputs=8, most_outputs=1, outer_counters=False)
