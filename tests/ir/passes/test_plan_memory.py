"""Memory plans: executed on bytes they give what separate storage gives, and they do share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, F32, F64, U8
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.passes.plan_memory import ALIGNMENT, MemoryPlan, best_gap, plan_memory
from tilewright.ir.program import Copy, Nest, Program, Repeat, RepeatWhile, Stage, Step
from tilewright.ir.sizes import evaluate


def _buffer(name: str, size: int) -> Buffer:
    return Buffer(name, (size,), U8)


def _map(target: Buffer, *sources: Buffer) -> Nest:
    """A step that reads `sources` and then writes all of `target`."""
    axis = Var("i", target.shape[0])
    value: Expr = build.zero(target.dtype)
    for source in sources:
        value = build.add(value, Load(source, (build.index(0),)))
    return Nest("map", (axis,), (Stage((), (), None, value, target, (axis,)),), ())


def _program(temporaries: Sequence[Buffer], steps: Sequence[Step], **more: object) -> Program:
    return Program("p", (), (), (), (), tuple(temporaries), tuple(steps), **more)  # type: ignore[arg-type]


def _unrolled(steps: Sequence[Step], rounds: int) -> Iterator[tuple[list[Buffer], list[Buffer]]]:
    """What is read, then written, step by step, every repeat run `rounds` times."""
    for step in steps:
        match step:
            case Repeat():
                for _ in range(rounds):
                    yield from _unrolled(step.steps, rounds)
            case RepeatWhile():
                for k in range(rounds + 1):
                    yield from _unrolled(step.test, rounds)
                    yield [step.condition], []
                    if k < rounds:
                        yield from _unrolled(step.body, rounds)
            case Nest():
                (stage,) = step.stages
                reads = [s for n in _loads(stage.value) if isinstance(s := n.source, Buffer)]
                yield reads, [stage.target]
            case Copy():
                yield [step.source], [step.target]


def _loads(value: Expr) -> list[Load]:
    found = [value] if isinstance(value, Load) else []
    for operand in value.operands:
        found += _loads(operand)
    return found


def _bytes_of(buffer: Buffer) -> int:
    size = buffer.shape[0]
    assert isinstance(size, int)
    return size


def _check(program: Program, plan: MemoryPlan) -> None:
    """Every byte read is what was last written to that buffer, in any order of sharing."""
    assert isinstance(plan.size, int)
    memory: list[int | None] = [None] * plan.size
    last: dict[Buffer, int] = {}
    for token, (reads, writes) in enumerate(_unrolled(program.steps, 2)):
        for buffer in reads:
            start = plan.offsets[buffer]
            assert isinstance(start, int)
            if buffer in last:
                held = set(memory[start : start + _bytes_of(buffer)])
                assert held == {last[buffer]}, f"{buffer} was overwritten"
        for buffer in writes:
            start = plan.offsets[buffer]
            assert isinstance(start, int)
            assert start % ALIGNMENT == 0
            assert start + _bytes_of(buffer) <= plan.size
            memory[start : start + _bytes_of(buffer)] = [token] * _bytes_of(buffer)
            last[buffer] = token


@st.composite
def programs(draw: st.DrawFn) -> Program:
    sizes = draw(st.lists(st.integers(1, 300), min_size=2, max_size=9))
    buffers = [_buffer(f"t{k}", size) for k, size in enumerate(sizes)]
    flag = Buffer("flag", (1,), U8)
    some = st.sampled_from(buffers)

    def steps(depth: int) -> list[Step]:
        made: list[Step] = []
        for _ in range(draw(st.integers(1, 5))):
            kind = draw(st.integers(0, 5 if depth else 3))
            if kind <= 3:
                target = draw(some)
                sources = draw(st.lists(some, max_size=2))
                made.append(_map(target, *(s for s in sources if s is not target)))
            elif kind == 4:
                made.append(Repeat(Var("n", 2), tuple(steps(depth - 1))))
            else:
                test = (*steps(depth - 1), _map(flag, draw(some)))
                made.append(RepeatWhile(test, flag, tuple(steps(depth - 1))))
        return made

    return _program([*buffers, flag], steps(2))


@settings(max_examples=400, deadline=None)
@given(programs())
def test_planned_memory_behaves_as_separate_buffers(program: Program) -> None:
    _check(program, plan_memory(program))


def test_a_chain_needs_two_places() -> None:
    chain = [_buffer(f"t{k}", 640) for k in range(6)]
    steps = [_map(chain[0]), *(_map(b, a) for a, b in pairwise(chain))]
    assert plan_memory(_program(chain, steps)).size == 2 * 640


def test_a_small_buffer_goes_where_a_larger_one_was() -> None:
    wide, narrow, top, small = (
        _buffer(n, s) for n, s in [("wide", 1280), ("narrow", 640), ("top", 1920), ("small", 600)]
    )
    steps = [_map(wide), _map(narrow, wide), _map(top, wide, narrow), _map(small, top)]
    plan = plan_memory(_program([wide, narrow, top, small], [*steps, _map(wide, small)]))
    assert plan.offsets[small] == plan.offsets[narrow]
    assert plan.size == 1280 + 640 + 1920


def test_the_smallest_gap_that_fits_is_taken() -> None:
    assert best_gap([(0, 64), (256, 320), (448, 512)], 128) == 320
    assert best_gap([(0, 64), (256, 320), (448, 512)], 192) == 64
    assert best_gap([(0, 64), (32, 320)], 64) == 320


def test_a_buffer_that_is_read_in_a_repeat_lives_through_it() -> None:
    kept, first, second = _buffer("kept", 64), _buffer("first", 64), _buffer("second", 64)
    body = (_map(first, kept), _map(second, first))
    plan = plan_memory(_program([kept, first, second], [_map(kept), Repeat(Var("n", 3), body)]))
    assert plan.offsets[kept] not in (plan.offsets[first], plan.offsets[second])


def test_buffers_of_one_round_share() -> None:
    a, b, c = (_buffer(n, 64) for n in "abc")
    body = (_map(a), _map(b, a), _map(c, b))
    assert plan_memory(_program([a, b, c], [Repeat(Var("n", 3), body)])).size == 128


def test_the_condition_of_a_while_survives_its_test() -> None:
    flag, other = Buffer("flag", (), BOOL), _buffer("other", 64)
    true = Stage((), (), None, build.TRUE, flag, ())
    steps = [RepeatWhile((Nest("t", (), (true,), ()), _map(other)), flag, ())]
    plan = plan_memory(_program([flag, other], steps))
    assert plan.offsets[flag] != plan.offsets[other]


def test_unused_and_packed_buffers_take_no_room() -> None:
    unused, packed = _buffer("unused", 64), _buffer("packed", 64)
    plan = plan_memory(_program([unused, packed], [_map(packed)], packed=(packed,)))
    assert plan.offsets == {}
    assert plan.size == 0


def test_a_view_is_a_use_of_its_base() -> None:
    base, other = _buffer("base", 64), _buffer("other", 64)
    view = Buffer("view", (8, 8), U8, base=base)
    read = Load(view, (build.index(0), build.index(0)))
    last = Nest("r", (), (Stage((), (), None, read, other, (build.index(0),)),), ())
    plan = plan_memory(_program([base, other], [_map(base), last]))
    assert plan.offsets[base] != plan.offsets[other]


def test_open_sizes_follow_the_known_ones_and_equal_ones_share() -> None:
    n = Var("n", least=0)
    known = Buffer("known", (100,), F32)
    chain = [Buffer(f"t{k}", (n, 3), F64) for k in range(3)]
    larger = Buffer("larger", (n, 5), F64)

    def fill(target: Buffer, source: Buffer) -> Nest:
        zero = (build.index(0),) * len(source.shape)
        value = build.cast(Load(source, zero), target.dtype)
        indices = (build.index(0),) * len(target.shape)
        return Nest("f", (), (Stage((), (), None, value, target, indices),), ())

    steps = [fill(b, a) for a, b in zip([known, *chain], [*chain, larger], strict=True)]
    plan = plan_memory(_program([known, *chain, larger], steps))
    assert plan.offsets[known] == 0
    assert plan.offsets[chain[0]] is plan.offsets[chain[2]]
    assert plan.offsets[chain[0]] == 448
    assert evaluate(plan.offsets[chain[1]], {n: 7}) == 448 + 192
    assert evaluate(plan.offsets[larger], {n: 7}) == 448 + 192 * 2
    assert evaluate(plan.size, {n: 7}) == 448 + 192 * 2 + 320
