"""One cache entry as the bytes of a file: a payload and its key -> bytes, and back.

    magic    8 bytes   ends in CR LF and LF, which a transfer in text mode would change
    version  4 bytes   little-endian, `VERSION`
    key     32 bytes   SHA-256 of everything that decides the payload
    length   8 bytes   little-endian, of the payload
    digest  32 bytes   SHA-256 of all of the above and of the payload
    payload

The key is in the file so that an entry under another's name is noticed, the length so that the
file ends where it should.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

VERSION: Final = 1
MAGIC: Final = b"\x89TWC\x00\r\n\n"
_FACTS: Final = struct.Struct("<8sI32sQ")
HEADER_BYTES: Final = _FACTS.size + hashlib.sha256().digest_size


def pack(key: str, payload: bytes) -> bytes:
    """The file that holds `payload` under `key` (64 hexadecimal digits)."""
    facts = _FACTS.pack(MAGIC, VERSION, bytes.fromhex(key), len(payload))
    return b"".join((facts, _digest(facts, payload), payload))


def unpack(key: str, data: bytes) -> bytes | None:
    """The payload of the file `data`, or None unless it is intact and belongs to `key`."""
    payload = data[HEADER_BYTES:]
    facts = _FACTS.pack(MAGIC, VERSION, bytes.fromhex(key), len(payload))
    intact = data[:HEADER_BYTES] == facts + _digest(facts, payload)
    return payload if intact else None


def _digest(facts: bytes, payload: bytes) -> bytes:
    digest = hashlib.sha256(facts)
    digest.update(payload)
    return digest.digest()
