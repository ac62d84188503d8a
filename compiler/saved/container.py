"""A description and blobs <-> the bytes of one file.

magic          8 bytes; the last ones show files that went through a text conversion
version        4 bytes, little-endian like all numbers
length         8 bytes, of the description
description    JSON, whose "blobs" are the lengths of the blobs
blobs          one after the other
checksum       SHA-256 of everything before
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from tilewright.ir.errors import SavedKernelError

MAGIC: Final = b"\x93TWK\r\n\x1a\n"
VERSION: Final = 1

_HEAD: Final = struct.Struct("<8sIQ")
_CHECKSUM_BYTES: Final = 32
_SAVE_AGAIN: Final = "save the kernel again"
UNREADABLE: Final = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError
)  # fmt: skip
"""What reading a description raises that `pack` did not write."""


class Content(NamedTuple):
    """What a file holds."""

    description: dict[str, Any]
    blobs: list[bytes]


def pack(description: Mapping[str, Any], blobs: Sequence[bytes]) -> bytes:
    """The bytes of a file."""
    whole = {**description, "blobs": [len(blob) for blob in blobs]}
    text = json.dumps(whole, separators=(",", ":"), allow_nan=False).encode()
    body = b"".join([_HEAD.pack(MAGIC, VERSION, len(text)), text, *blobs])
    return body + hashlib.sha256(body).digest()


def unpack(data: bytes, path: str) -> Content:
    """What the bytes of the file at `path` hold; `SavedKernelError` if they are anything else."""
    if data[: len(MAGIC)] != MAGIC:
        found = f"it begins with {data[: len(MAGIC)]!r}" if data else "it is empty"
        raise SavedKernelError(
            f"{path!r} is not a saved kernel: {found}", help="give a file that Compiled.save wrote"
        )
    if len(data) < _HEAD.size + _CHECKSUM_BYTES:
        raise _damaged(path, f"it ends after {len(data)} bytes")
    _, version, length = _HEAD.unpack_from(data)
    if version != VERSION:
        raise SavedKernelError(
            f"{path!r} has format version {version}, and this Tilewright reads version {VERSION}",
            help=f"{_SAVE_AGAIN} with this version of Tilewright",
        )
    end = len(data) - _CHECKSUM_BYTES
    if hashlib.sha256(memoryview(data)[:end]).digest() != data[end:]:
        raise _damaged(path, f"the checksum of its {len(data)} bytes is wrong")
    try:
        description = json.loads(data[_HEAD.size : _HEAD.size + length])
        return Content(description, _blobs(data, _HEAD.size + length, description["blobs"]))
    except UNREADABLE as error:
        raise _damaged(path, f"its description makes no sense ({error})") from error


def _blobs(data: bytes, start: int, lengths: list[int]) -> list[bytes]:
    blobs = []
    for length in lengths:
        blobs.append(data[start : start + length])
        start += length
    if start != len(data) - _CHECKSUM_BYTES:
        raise ValueError(f"it describes {start} bytes")
    return blobs


def _damaged(path: str, how: str) -> SavedKernelError:
    return SavedKernelError(
        f"{path!r} is damaged: {how}", help=f"copy the file anew, or {_SAVE_AGAIN}"
    )
