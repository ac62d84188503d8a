"""An artifact survives the way to bytes and back; other bytes give None."""

from __future__ import annotations

import random
from time import perf_counter

import numpy as np
import pytest

from tilewright.codegen_cpu.artifact import (
    CpuArtifact,
    TensorSpec,
    decode,
    readable_bytes,
    workspace_bytes,
)
from tilewright.codegen_cpu.encode_artifact import encode
from tilewright.ir import build
from tilewright.ir.dtypes import ALL, F16, F32, I32, I64, INDEX, DType
from tilewright.ir.element_types import dim
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Load, Size, Source, Var
from tilewright.ir.ops import ADD, CAST, FLOORDIV, MAX, MUL
from tilewright.ir.sizes import evaluate


def index(value: int) -> Const:
    return Const(value, INDEX)


def artifact_of(workspace: Size, symbols: tuple[Var, ...] = (), **fields: object) -> CpuArtifact:
    parts = {"code": b"\x7fELF code", "inputs": (), "outputs": (), "constants": ()}
    return CpuArtifact(**{**parts, **fields}, symbols=symbols, workspace=workspace)  # type: ignore[arg-type]


def there_and_back(artifact: CpuArtifact, symbols: tuple[Var, ...] = ()) -> CpuArtifact:
    found = decode(encode(artifact), symbols)
    assert found is not None
    return found


def test_every_field_returns() -> None:
    n, m = dim("n"), dim("m", least=1)
    rows = Apply(ADD, (n, index(1)))
    artifact = artifact_of(
        Apply(MUL, (rows, index(64))),
        (n, m),
        inputs=(TensorSpec((n, 3, m), F32), TensorSpec((), I64)),
        outputs=(TensorSpec((rows, Apply(MAX, (n, m))), F16), TensorSpec((0, 2), I32)),
        constants=(np.arange(6, dtype=np.int16).reshape(2, 3), np.array([np.nan, -0.0])),
        packed=(TensorSpec((4, 5), F32),),
    )
    other_n, other_m = dim("n"), dim("m", least=1)
    found = there_and_back(artifact, (other_n, other_m))
    assert found.code == artifact.code
    assert found.symbols == (other_n, other_m)
    assert found.inputs == (TensorSpec((other_n, 3, other_m), F32), TensorSpec((), I64))
    assert found.packed == (TensorSpec((4, 5), F32),)
    assert [spec.dtype for spec in found.outputs] == [F16, I32]
    assert found.outputs[1].shape == (0, 2)
    old, new = {n: 5, m: 9}, {other_n: 5, other_m: 9}
    assert [evaluate(s, new) for s in found.outputs[0].shape] == [6, 9]
    assert workspace_bytes(found, new) == workspace_bytes(artifact, old) == 6 * 64 + 64
    for one, other in zip(found.constants, artifact.constants, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()
        assert one.flags.c_contiguous
        assert one.flags.aligned
    assert encode(found) == encode(artifact)  # names of symbols are no part of it


@pytest.mark.parametrize("dtype", ALL, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (7, 5)])
def test_constants_of_every_dtype(dtype: DType, shape: tuple[int, ...]) -> None:
    array = np.asarray(np.random.default_rng(0).integers(0, 2, shape)).astype(dtype.numpy)
    (found,) = there_and_back(artifact_of(0, constants=(array,))).constants
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_random_sizes_have_equal_values() -> None:
    generator = random.Random(1)
    for _ in range(200):
        symbols = (dim("a", 1), dim("b", 1))
        nodes: list[Size] = [*symbols, index(generator.randrange(1, 100))]
        for _ in range(generator.randrange(1, 30)):
            op = generator.choice((build.size_add, build.size_mul, build.size_floordiv))
            divisor = generator.randrange(1, 9)
            other = divisor if op is build.size_floordiv else generator.choice(nodes[:3])
            nodes.append(op(generator.choice(nodes), other))  # type: ignore[arg-type]
        artifact = artifact_of(nodes[-1], symbols)
        found = there_and_back(artifact, symbols)
        values = dict(zip(symbols, (7, 12), strict=True))
        assert evaluate(found.workspace, values) == evaluate(artifact.workspace, values)


def test_operations_that_name_their_dtype() -> None:
    n = dim("n")
    narrow = Apply(CAST, (n,), I32)
    found = there_and_back(artifact_of(Apply(CAST, (narrow,), INDEX), (n,)), (n,))
    assert isinstance(found.workspace, Apply)
    assert [found.workspace.dtype, found.workspace.operands[0].dtype] == [INDEX, I32]


def test_shared_parts_stay_shared_and_long_chains_work() -> None:
    n = dim("n")
    doubled: Apply | Var = n
    for _ in range(60):  # as a tree, 2**60 nodes
        doubled = Apply(ADD, (doubled, doubled))
    assert len(encode(artifact_of(doubled, (n,)))) < 4000
    found = there_and_back(artifact_of(doubled, (n,)), (n,)).workspace
    assert isinstance(found, Apply)
    is_shared = found.operands[0] is found.operands[1]
    assert is_shared
    spec = TensorSpec((doubled,), F32)
    found_twice = there_and_back(artifact_of(doubled, (n,), inputs=(spec, spec)), (n,))
    is_shared = found_twice.inputs[0].shape[0] is found_twice.workspace
    assert is_shared  # as a value: pytest would print both sides, 2**60 nodes
    chain: Apply | Var = n
    for _ in range(5000):
        chain = Apply(FLOORDIV, (chain, index(2)))
    there_and_back(artifact_of(chain, (n,)), (n,))


def test_what_cannot_be_kept_is_an_error_of_ours() -> None:
    tensor = Source()
    tensor.name, tensor.shape, tensor.dtype = "x", (4,), INDEX
    for size in (Var("i", 4), Load(tensor, (index(0),)), Const(1.5, F32)):
        with pytest.raises(IRError, match="neither arithmetic nor an open dimension"):
            encode(artifact_of(size))
    with pytest.raises(IRError, match="complex128"):
        encode(artifact_of(0, constants=(np.zeros(2, complex),)))


def test_other_symbols_are_refused() -> None:
    n = dim("n")
    data = encode(artifact_of(n, (n,)))
    assert decode(data, ()) is None
    assert decode(data, (n, n)) is None


def example() -> bytes:
    n = dim("n")
    spec = TensorSpec((n, Apply(ADD, (n, index(1)))), F32)
    constants = (np.arange(3.0),)
    return encode(artifact_of(n, (n,), inputs=(spec,), outputs=(spec,), constants=constants))


def test_no_bytes_raise() -> None:
    """The store's checksum lets none of these through; whoever can write there may."""
    data, n = example(), dim("n")
    generator = random.Random(2)
    assert decode(data, (n,)) is not None
    assert all(decode(data[:length], (n,)) is None for length in range(len(data)))
    assert decode(data + b"\0", (n,)) is None
    for _ in range(5000):
        changed = bytearray(data)
        for _ in range(generator.randrange(1, 4)):
            changed[generator.randrange(len(changed))] = generator.choice(b'[]{}",:-0129en\x00\xff')
        decode(bytes(changed), (n,))
    for text in (b"[" * 100_000, b"null", b"{}", b'{"symbols":1,"nodes":[["add","x"]]}', b"\xff"):
        assert decode(len(text).to_bytes(4, "little") + text, (n,)) is None


def test_decoding_is_quick() -> None:
    data, symbols = example(), (dim("n"),)
    times = []
    for _ in range(50):
        start = perf_counter()
        decode(data, symbols)
        times.append(perf_counter() - start)
    assert min(times) < 300e-6


@pytest.mark.parametrize(
    ("shape", "elements"),
    [((), 1), ((3, 2), 6), ((0,), 1), ((3, 0, 5), 15), ((0, 4, 0), 4), ((2, 0), 2)],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_at_position_zero_of_empty_axes_something_can_be_read(
    shape: tuple[int, ...], elements: int, dtype: type
) -> None:
    array: np.ndarray = np.zeros(shape, dtype)
    assert readable_bytes(array) == elements * array.itemsize
    assert isinstance(readable_bytes(array), int)


def test_an_empty_temporary_has_room_for_a_row() -> None:
    n = dim("n")
    artifact = artifact_of(Apply(MUL, (n, index(640))), (n,))
    assert [workspace_bytes(artifact, {n: size}) for size in (0, 1, 2)] == [704, 704, 1344]
