"""A checkpoint's content as plain data, and what has to be set apart of it.

In the place of a value set apart lies a text that says so, and whoever loads the file without this package is told:
`load_from_checkpoint` refuses to build a model or datamodule of which a hyperparameter is missing, and a stock Trainer
warns of every other value.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning.utilities import is_picklable

from jupyter_train.store import unpickling
from jupyter_train.store.redaction import one_line

_PLAIN = (type(None), bool, float, complex, str, bytes, torch.Size, torch.dtype, torch.device, torch.layout)
_HASHABLE = frozenset((type(None), bool, float, complex, str, bytes))
#: What is taken as it is; whole numbers are looked at.
_LEAVES = frozenset((*_PLAIN, torch.Tensor, torch.nn.Parameter))
#: `weights_only=True` reads no integer of more than 255 bytes.
_MAX_BITS = 255 * 8 - 1
_APART = "set apart, since it is no plain data"
#: Where Lightning keeps what a class is made with, and the name of the argument that takes all of it at once.
_MADE_WITH = {"hyper_parameters": "hparams_name", "datamodule_hyper_parameters": "datamodule_hparams_name"}
_TYPES = ("hparams_type", "datamodule_hparams_type")
#: Lightning looks here for what makes the class, and refuses with the text it sees, whatever arguments there are.
_INSTANTIATOR = "_instantiator"
_REFUSAL = "none: "
#: Lightning warns of the names of callbacks that a checkpoint holds and a Trainer has not.
_CALLBACKS = "callbacks"
_NOTICE = "not in this file, since it is no plain data: "

Where = tuple[Any, ...]


@dataclass
class ExtractedValue:
    """A value that is no plain data, and where it lay."""

    where: Where
    value: Any

    @property
    def name(self) -> str:
        """The place as people read it: `hyper_parameters.encoder`."""
        return ".".join(str(part) for part in self.where)

    @property
    def kind(self) -> str:
        """The name of its class; of a class, its own."""
        return self.value.__name__ if isinstance(self.value, type) else type(self.value).__name__


def split(content: Any) -> tuple[Any, list[ExtractedValue]]:
    """Plain containers with the same content, and what had to be set apart.

    Tensors are shared, not copied.
    """
    apart: list[ExtractedValue] = []
    plain = _plain(content, (), apart, set())
    if apart and isinstance(plain, dict):
        _notice(plain, apart)
        for part in _MADE_WITH:
            _refuse(plain, apart, part)
    return plain, apart


def _plain(value: Any, where: Where, apart: list[ExtractedValue], above: set[int]) -> Any:
    kind = type(value)
    if kind in _LEAVES or (kind is int and _is_short(value)):
        return value
    if id(value) not in above:  # a container inside itself is no plain data
        inside = above | {id(value)}
        if kind in (dict, OrderedDict) and _are_plain_keys(value):
            return _plain_mapping(value, where, apart, inside)
        if kind in (list, tuple):
            return kind([_plain(item, (*where, index), apart, inside) for index, item in enumerate(value)])
        if kind is set and _are_plain_keys(value):
            return set(value)
    one = ExtractedValue(where, value)
    apart.append(one)
    return f"<a {one.kind}, {_APART}>"


def _plain_mapping(value: Any, where: Where, apart: list[ExtractedValue], above: set[int]) -> Any:
    made = type(value)(value)
    for key, item in value.items():
        if type(item) not in _LEAVES:  # most are weights
            made[key] = _plain(item, (*where, key), apart, above)
    if hasattr(value, "_metadata"):  # versions of the modules in a state_dict
        made._metadata = value._metadata
    return made


def _is_short(value: int) -> bool:
    return value.bit_length() <= _MAX_BITS


def _are_plain_keys(keys: Collection[Any]) -> bool:
    return _HASHABLE.issuperset(map(type, keys)) or all(map(_is_plain_key, keys))


def _is_plain_key(key: Any) -> bool:
    kind = type(key)
    if kind is tuple:
        return all(_is_plain_key(item) for item in key)
    return kind in _HASHABLE or (kind is int and _is_short(key))


def _refuse(plain: dict[str, Any], apart: list[ExtractedValue], part: str) -> None:
    """Makes `load_from_checkpoint` refuse where a hyperparameter was set apart."""
    entries = [one for one in apart if one.where[0] == part]
    if not entries:
        return
    argument = plain.get(_MADE_WITH[part])
    names = _names_of(entries, argument)
    listed = ", ".join(f"`{name}` ({one.kind})" for name, one in zip(_paths(entries), entries, strict=True))
    text = (
        f"{_REFUSAL}{listed} {'is' if len(entries) == 1 else 'are'} no plain data and not in this file as Lightning "
        'reads it; `run.model()` gives what was trained, `run.export("model.ckpt", "lightning")` a file with '
        f"all of it, and with `{names}, _instantiator=None` it is taken from here"
    )
    kept = plain[part] if isinstance(plain[part], dict) else {}
    if _INSTANTIATOR in kept and (part, _INSTANTIATOR) not in [one.where for one in apart]:
        apart.append(ExtractedValue((part, _INSTANTIATOR), kept[_INSTANTIATOR]))
    if argument is not None:  # else all would be handed to that one argument, the refusal among it
        apart.append(ExtractedValue((_MADE_WITH[part],), plain.pop(_MADE_WITH[part])))
    plain[part] = {**kept, _INSTANTIATOR: text}


def _paths(entries: list[ExtractedValue]) -> list[str]:
    """The places of hyperparameters below what holds them: `extra.e`."""
    return [".".join(str(part) for part in one.where[1:]) or str(one.where[0]) for one in entries]


def _names_of(entries: list[ExtractedValue], argument: Any) -> str:
    """How they are given by hand: `extra=..., encoder=...`."""
    if isinstance(argument, str) and argument != "kwargs":
        return f"{argument}=..."
    return ", ".join(dict.fromkeys(f"{one.where[1]}=..." for one in entries if len(one.where) > 1)) or "all of them"


def _notice(plain: dict[str, Any], apart: list[ExtractedValue]) -> None:
    """Makes a stock Trainer that goes on from the file warn of everything else that was set apart."""
    ignored = {*_MADE_WITH, *_TYPES, "jupyter_train"}
    names = [f"`{one.name}`" for one in apart if one.where and one.where[0] not in ignored]
    if names and isinstance(plain.get(_CALLBACKS), dict):
        plain[_CALLBACKS][_NOTICE + ", ".join(names)] = {}


def hyperparameters(content: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters in a checkpoint's plain content; a text for each that was set apart."""
    return {name: value for name, value in content.get("hyper_parameters", {}).items() if not _is_refusal(name, value)}


def _is_refusal(name: Any, value: Any) -> bool:
    return name == _INSTANTIATOR and isinstance(value, str) and value.startswith(_REFUSAL)


def pickle_extracted(apart: list[ExtractedValue]) -> tuple[dict[str, Any], dict[str, str]]:
    """The block of bytes for values set apart, and why some of them, by name, cannot be kept."""
    import cloudpickle

    index: list[Any] = []
    lost: list[Any] = []
    blob = bytearray()
    problems: dict[str, str] = {}
    for one in apart:
        try:
            stream = cloudpickle.dumps(one.value)
        except Exception as err:  # noqa: BLE001  whatever the user's object raises is why it cannot be kept
            problems[one.name] = one_line(str(err), 200) or type(err).__name__
            lost.append([list(one.where), one.kind])
            continue
        index.append([list(one.where), len(blob), len(stream)])
        blob += stream
    block = torch.frombuffer(blob or bytearray(1), dtype=torch.uint8)
    return {"index": index, "blob": block, "lost": lost}, problems


def put_back(content: dict[str, Any], objects: dict[str, Any], only: str | None = None) -> None:
    """Unpickles what was set apart into its places, and takes away what others are told.

    What could not be kept is missing: a mapping has no such entry, a list a None there.

    Args:
        content: The plain content; changed.
        objects: The block of bytes, and the places.
        only: The part of the content that is wanted; all of it if None.
    """
    blob = objects["blob"].numpy().tobytes()
    for where, start, length in objects["index"]:
        if only is None or where[0] == only:
            _set(_trail(content, where), where[-1], unpickling.loads(blob[start : start + length]))
    if only is not None:
        return
    lost = objects.get("lost", [])
    for where, _ in lost:
        _set(_trail(content, where), where[-1], None)
        if isinstance(owner := _trail(content, where)[-1][2], dict):
            del owner[where[-1]]
    for part in _MADE_WITH:
        _unrefuse(content, part, [(where, kind) for where, kind in lost if where[0] == part])
    callbacks = content.get(_CALLBACKS) or {}
    for name in [name for name in callbacks if str(name).startswith(_NOTICE)]:
        del callbacks[name]


def _unrefuse(content: dict[str, Any], part: str, lost: list[tuple[list[Any], str]]) -> None:
    """Hyperparameters are whole again, but for those that could not be kept."""
    found = content.get(part)
    if lost:
        listed = ", ".join(f"`{'.'.join(map(str, where[1:])) or part}` ({kind})" for where, kind in lost)
        text = f"{_REFUSAL}{listed} could not be pickled; give it by hand: `NAME=..., _instantiator=None`"
        content[part] = {**(found if isinstance(found, dict) else {}), _INSTANTIATOR: text}
        content.pop(_MADE_WITH[part], None)
    elif type(found) is dict and _is_refusal(_INSTANTIATOR, found.get(_INSTANTIATOR)):
        del found[_INSTANTIATOR]


def without_unpicklable(content: dict[str, Any]) -> None:
    """Takes away hyperparameters that `pickle` refuses; `load_from_checkpoint` then does too."""
    for part in _MADE_WITH:
        found = content.get(part)
        entries = list(found.items()) if isinstance(found, dict) else []
        lost = [(name, value) for name, value in entries if not is_picklable(value)]
        if lost:
            content[part] = {name: value for name, value in entries if name not in dict(lost)}
            _unrefuse(content, part, [([part, name], ExtractedValue((), value).kind) for name, value in lost])


def _trail(content: Any, where: list[Any]) -> list[tuple[Any, Any, Any]]:
    """The containers down to a place: what holds each, as what, and itself."""
    trail = [(None, None, content)]
    for part in where[:-1]:
        owner = trail[-1][2]
        trail.append((owner, part, owner[part]))
    return trail


def _set(trail: list[tuple[Any, Any, Any]], last: Any, value: Any) -> None:
    """Sets an item of the innermost container; tuples on the way are made anew."""
    owner = trail[-1][2]
    if isinstance(owner, tuple):
        changed = list(owner)
        changed[last] = value
        _set(trail[:-1], trail[-1][1], tuple(changed))
    else:
        owner[last] = value
