"""Model, data and options as bytes that another process can read; what cannot be, and what is large, by its name."""

from __future__ import annotations

import dis
import io
import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_train.exceptions import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch

_MAX_DEPTH = 8
#: Arrays below this many bytes stay in the stream.
_MIN_APART = 1 << 20
_NAMED_BYTES = 100_000_000
_CONFIRMED_BYTES = 1_000_000_000
_NAMES_SHOWN = 5
_MAX_LOOKED_AT = 20_000
_NEVER_LOOKED_INTO = (type, ModuleType, FunctionType, str, int, float, complex, type(None))
#: Where torch keeps what a user reads as `model.layer`.
_INSIDE_MODULES = re.compile(r"\._(modules|parameters|buffers)(?=[.\[])")


@dataclass
class Pickled:
    """What another process needs.

    Attributes:
        stream: The pickle, with classes and functions of the notebook by value.
        arrays: The bytes of large arrays and tensors, which `pickle` takes as `buffers`.
        remarks: A line for each large thing that came along because the code names it.
    """

    stream: bytes
    arrays: list[memoryview] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of everything."""
        return len(self.stream) + sum(array.nbytes for array in self.arrays)


def pickled(content: dict[str, Any], is_large_welcome: bool = False) -> Pickled:
    """`content` for another process.

    Args:
        content: By name; the names are those that a user reads.
        is_large_welcome: Take along more than 1 GB that was not passed but that the code names.

    Raises:
        UsageError: Something in it cannot be pickled, or is that large; it is named.
    """
    stream = io.BytesIO()
    arrays: list[memoryview] = []
    pickler = _pickler(stream, arrays)
    try:
        pickler.dump(content)
    except Exception as err:
        place, cause = _culprit(content, "", err, _MAX_DEPTH)
        reason = f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
        raise UsageError(
            f"`{_INSIDE_MODULES.sub('', place)}` cannot be taken to another process ({reason}); take it away, or train "
            "without `--detach`"
        ) from err
    sizes = _sizes(pickler.captured, content)
    if sum(sizes.values()) > _CONFIRMED_BYTES and not is_large_welcome:
        raise UsageError(
            f"the code names {_sizes_of(sizes)}, which would be copied to the run's folder; pass it to the model or as "
            "data, make it smaller, or say `--yes`"
        )
    remarks = [f"copied because the code names it: {_sizes_of(sizes)}"] if sizes else []
    return Pickled(stream.getvalue(), arrays, remarks)


class _CapturingPickler(Protocol):
    """A pickler that notes the globals which functions bring, by name."""

    captured: dict[str, Any]

    def dump(self, obj: object, /) -> None: ...


def _pickler(stream: io.BytesIO, arrays: list[memoryview]) -> _CapturingPickler:
    """A pickler that gives large arrays and tensors apart, each once, and notes the globals that functions bring."""
    import cloudpickle
    import torch

    def is_small(buffer: pickle.PickleBuffer) -> bool:
        content = buffer.raw()
        if content.nbytes < _MIN_APART:
            return True
        arrays.append(content)
        return False

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
        def __init__(self) -> None:
            super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL, buffer_callback=is_small)
            self.captured: dict[str, Any] = {}
            self._storages: dict[tuple[int, int], np.ndarray[Any, Any]] = {}

        def reducer_override(self, obj: object) -> object:
            if isinstance(obj, torch.storage.TypedStorage) and obj._untyped_storage.device.type == "cpu":
                return _storage_of, (self._bytes_of(obj._untyped_storage), obj.dtype)
            how = super().reducer_override(obj)
            if isinstance(obj, FunctionType) and how is not NotImplemented:
                self.captured.update(_globals_of(obj))
            return how

        def _bytes_of(self, storage: torch.UntypedStorage) -> np.ndarray[Any, Any]:
            """The same array for the same memory: tensors that share it still do on the other side."""
            place = (storage.data_ptr(), storage.nbytes())
            if place not in self._storages:
                self._storages[place] = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
            return self._storages[place]

    return Pickler()


def _storage_of(content: np.ndarray[Any, Any], dtype: torch.dtype) -> torch.storage.TypedStorage:
    """A tensor's memory, from its bytes (called when a payload is read)."""
    import torch

    storage = torch.from_numpy(content).untyped_storage()
    return torch.storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)  # type: ignore[no-untyped-call]


def _globals_of(function: FunctionType) -> dict[str, Any]:
    """The global variables that a function reads, and those that functions inside it read."""
    names = set(_names_in(function.__code__))
    return {name: function.__globals__[name] for name in names if name in function.__globals__}


def _names_in(code: CodeType) -> Iterator[str]:
    yield from (step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _sizes(captured: dict[str, Any], content: dict[str, Any]) -> dict[str, int]:
    """Bytes of each captured variable of 100 MB and more; what is passed as model or data anyway does not count."""
    passed = {id(array) for part in (content.get("model"), content.get("data")) for array in _arrays(part)}
    sizes = {
        name: sum(_nbytes(array) for array in _arrays(value) if id(array) not in passed)
        for name, value in captured.items()
    }
    return {name: size for name, size in sorted(sizes.items()) if size >= _NAMED_BYTES}


def _arrays(obj: object) -> list[Any]:
    """The arrays, tensors and frames in an object, each once; of a very large object those found first."""
    arrays: list[Any] = []
    seen: set[int] = set()
    waiting = [obj]
    while waiting and len(seen) < _MAX_LOOKED_AT:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, _NEVER_LOOKED_INTO):
            continue
        seen.add(id(part))
        if _nbytes(part):
            arrays.append(part)
        else:
            waiting += [inner for _, inner in _parts(part)]
    return arrays


def _nbytes(obj: object) -> int:
    """Bytes of an array, a tensor, a frame or a series; 0 for anything else."""
    if isinstance(obj, bytes | bytearray):
        return len(obj)
    if hasattr(obj, "memory_usage"):
        used = obj.memory_usage()
        return int(used if isinstance(used, int) else used.sum())
    size = getattr(obj, "nbytes", 0)
    return size if isinstance(size, int) else 0


def _sizes_of(sizes: dict[str, int]) -> str:
    largest = sorted(sizes.items(), key=lambda item: -item[1])
    named = [f"`{name}` ({size / 1e6:,.0f} MB)" for name, size in largest[:_NAMES_SHOWN]]
    return ", ".join([*named, *([f"{len(largest) - len(named)} more"] if len(largest) > len(named) else [])])


def _culprit(obj: object, name: str, err: Exception, depth: int) -> tuple[str, Exception]:
    """The innermost attribute, item or element that cannot be pickled."""
    for label, part in _parts(obj) if depth else []:
        problem = _problem(part)
        if problem is not None:
            return _culprit(part, f"{name}{label}".lstrip("."), problem, depth - 1)
    return name or type(obj).__name__, err


def _parts(obj: object) -> list[tuple[str, Any]]:
    if isinstance(obj, dict):
        return [(_label(key), part) for key, part in obj.items()]
    if isinstance(obj, list | tuple):
        return [(f"[{index}]", part) for index, part in enumerate(obj)]
    return [(f".{key}", part) for key, part in vars(obj).items()] if hasattr(obj, "__dict__") else []


def _label(key: object) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"


def _problem(part: object) -> Exception | None:
    import cloudpickle

    try:
        cloudpickle.dumps(part)
    except Exception as err:  # noqa: BLE001  as above
        return err
    return None
