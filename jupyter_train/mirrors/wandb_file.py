"""Reads the `.wandb` files that the wandb client writes, to count the values a mirror has sent.

A file is a 7-byte header, then LevelDB log blocks of 32 KB whose records are `wandb.proto` messages
(wandb ships no Python reader for it).
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_train.mirrors.wandb_names import series_of

_HEADER_BYTES = 7
_BLOCK_BYTES = 32 * 1024
_RECORD_HEADER = struct.Struct("<IHB")  # crc, length, type
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def read_records(path: Path) -> Iterator[bytes]:
    """Complete records of a file; an incomplete last one is left out."""
    content = path.read_bytes()
    position = _HEADER_BYTES
    parts: list[bytes] = []
    while position + _RECORD_HEADER.size <= len(content):
        remaining = _BLOCK_BYTES - position % _BLOCK_BYTES
        if remaining < _RECORD_HEADER.size:
            position += remaining
            continue
        _, length, kind = _RECORD_HEADER.unpack_from(content, position)
        start = position + _RECORD_HEADER.size
        if kind == 0 or start + length > len(content):
            return
        parts = parts if kind in (_MIDDLE, _LAST) else []
        parts.append(content[start : start + length])
        if kind in (_FULL, _LAST):
            yield b"".join(parts)
            parts = []
        position = start + length


def history_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows logged in a file, in order."""
    from wandb.proto import wandb_internal_pb2 as messages

    for blob in read_records(path):
        record = messages.Record()  # type: ignore[attr-defined]  # generated per protobuf release
        record.ParseFromString(blob)
        if record.WhichOneof("record_type") == "history":
            yield {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}


def sent_counts(folder: Path) -> Counter[str]:
    """Number of values of each series in the files below `folder`: the cursor of a restarted mirror."""
    counts: Counter[str] = Counter()
    for path in sorted(folder.glob("wandb/*run-*/run-*.wandb")):
        for row in history_rows(path):
            counts.update(name for column in row if (name := series_of(column)) is not None)
    return counts
