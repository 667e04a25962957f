"""Splits a checkpoint's content into plain data and extracted values.

A text stands in the place of an extracted value. Loading the file without this package gives a notice:
`load_from_checkpoint` refuses to build a model or datamodule of which a hyperparameter is missing, and a stock
Trainer warns of every other value.
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
#: Types that stay as they are; integers are checked for their size.
_LEAVES = frozenset((*_PLAIN, torch.Tensor, torch.nn.Parameter))
#: `weights_only=True` reads no integer of more than 255 bytes.
_MAX_BITS = 255 * 8 - 1
_PLACEHOLDER = "set apart, since it is no plain data"
#: Lightning's keys for hyperparameters, and for the name of the argument that takes all of them at once.
_HYPERPARAMETER_KEYS = {"hyper_parameters": "hparams_name", "datamodule_hyper_parameters": "datamodule_hparams_name"}
_TYPE_KEYS = ("hparams_type", "datamodule_hparams_type")
#: Lightning imports the class's factory from this key, and fails with the text it finds, whatever arguments there are.
_INSTANTIATOR = "_instantiator"
_REFUSAL = "none: "
#: Lightning warns of the names of callbacks that are in a checkpoint and not in the Trainer.
_CALLBACKS = "callbacks"
_NOTICE = "not in this file, since it is no plain data: "

ContentPath = tuple[Any, ...]


@dataclass
class ExtractedValue:
    """A value that is not plain data, and its path in the content."""

    path: ContentPath
    value: Any

    @property
    def name(self) -> str:
        """The dotted path: `hyper_parameters.encoder`."""
        return ".".join(str(part) for part in self.path)

    @property
    def kind(self) -> str:
        """The name of its class; of a class, its own."""
        return self.value.__name__ if isinstance(self.value, type) else type(self.value).__name__


def split_plain(content: object) -> tuple[Any, list[ExtractedValue]]:
    """Plain containers with the same content, and the extracted values.

    Tensors are shared, not copied.
    """
    extracted: list[ExtractedValue] = []
    plain = _plain(content, (), extracted, set())
    if extracted and isinstance(plain, dict):
        _add_notice(plain, extracted)
        for part in _HYPERPARAMETER_KEYS:
            _add_refusal(plain, extracted, part)
    return plain, extracted


def _plain(value: Any, path: ContentPath, extracted: list[ExtractedValue], above: set[int]) -> object:
    kind = type(value)
    if kind in _LEAVES or (kind is int and _is_short(value)):
        return value
    if id(value) not in above:  # a container inside itself is not plain data
        inside = above | {id(value)}
        if kind in (dict, OrderedDict) and _are_plain_keys(value):
            return _plain_mapping(value, path, extracted, inside)
        if kind in (list, tuple):
            return kind([_plain(item, (*path, index), extracted, inside) for index, item in enumerate(value)])
        if kind is set and _are_plain_keys(value):
            return set(value)
    value_out = ExtractedValue(path, value)
    extracted.append(value_out)
    return f"<a {value_out.kind}, {_PLACEHOLDER}>"


def _plain_mapping(value: Any, path: ContentPath, extracted: list[ExtractedValue], above: set[int]) -> object:
    made = type(value)(value)
    for key, item in value.items():
        if type(item) not in _LEAVES:  # most are weights
            made[key] = _plain(item, (*path, key), extracted, above)
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


def _add_refusal(plain: dict[str, Any], extracted: list[ExtractedValue], part: str) -> None:
    """Makes `load_from_checkpoint` refuse where a hyperparameter was extracted."""
    entries = [entry for entry in extracted if entry.path[0] == part]
    if not entries:
        return
    argument = plain.get(_HYPERPARAMETER_KEYS[part])
    names = _argument_names(entries, argument)
    listed = ", ".join(f"`{name}` ({entry.kind})" for name, entry in zip(_dotted_paths(entries), entries, strict=True))
    text = (
        f"{_REFUSAL}{listed} {'is' if len(entries) == 1 else 'are'} no plain data and not in this file as Lightning "
        'reads it; `run.model()` gives what was trained, `run.export("model.ckpt", "lightning")` a file with '
        f"all of it, and with `{names}, _instantiator=None` it is taken from here"
    )
    hyperparameters_left = plain[part] if isinstance(plain[part], dict) else {}
    if _INSTANTIATOR in hyperparameters_left and (part, _INSTANTIATOR) not in [entry.path for entry in extracted]:
        extracted.append(ExtractedValue((part, _INSTANTIATOR), hyperparameters_left[_INSTANTIATOR]))
    if argument is not None:  # else all would be handed to that one argument, the refusal among it
        extracted.append(ExtractedValue((_HYPERPARAMETER_KEYS[part],), plain.pop(_HYPERPARAMETER_KEYS[part])))
    plain[part] = {**hyperparameters_left, _INSTANTIATOR: text}


def _dotted_paths(entries: list[ExtractedValue]) -> list[str]:
    """The dotted paths of hyperparameters: `extra.e`."""
    return [".".join(str(part) for part in entry.path[1:]) or str(entry.path[0]) for entry in entries]


def _argument_names(entries: list[ExtractedValue], argument: object) -> str:
    """The keyword arguments that pass them: `extra=..., encoder=...`."""
    if isinstance(argument, str) and argument != "kwargs":
        return f"{argument}=..."
    return ", ".join(dict.fromkeys(f"{entry.path[1]}=..." for entry in entries if len(entry.path) > 1)) or "all of them"


def _add_notice(plain: dict[str, Any], extracted: list[ExtractedValue]) -> None:
    """Makes a stock Trainer that resumes from the file warn of every other extracted value."""
    ignored = {*_HYPERPARAMETER_KEYS, *_TYPE_KEYS, "jupyter_train"}
    names = [f"`{entry.name}`" for entry in extracted if entry.path and entry.path[0] not in ignored]
    if names and isinstance(plain.get(_CALLBACKS), dict):
        plain[_CALLBACKS][_NOTICE + ", ".join(names)] = {}


def hyperparameters(content: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters in a checkpoint's plain content; a text for each that was extracted."""
    return {name: value for name, value in content.get("hyper_parameters", {}).items() if not _is_refusal(name, value)}


def _is_refusal(name: object, value: object) -> bool:
    return name == _INSTANTIATOR and isinstance(value, str) and value.startswith(_REFUSAL)


def pickle_extracted(extracted: list[ExtractedValue]) -> tuple[dict[str, Any], dict[str, str]]:
    """The block of bytes for extracted values, and the reasons, by name, for those that cannot be pickled."""
    import cloudpickle

    index: list[Any] = []
    lost: list[Any] = []
    blob = bytearray()
    problems: dict[str, str] = {}
    for entry in extracted:
        try:
            stream = cloudpickle.dumps(entry.value)
        except Exception as err:  # noqa: BLE001  whatever the user's object raises is why it cannot be kept
            problems[entry.name] = one_line(str(err), 200) or type(err).__name__
            lost.append([list(entry.path), entry.kind])
            continue
        index.append([list(entry.path), len(blob), len(stream)])
        blob += stream
    block = torch.frombuffer(blob or bytearray(1), dtype=torch.uint8)
    return {"index": index, "blob": block, "lost": lost}, problems


def restore_extracted(content: dict[str, Any], objects: dict[str, Any], only: str | None = None) -> None:
    """Unpickles extracted values into their places, and removes the refusals and notices.

    What could not be pickled is missing: a mapping has no such entry, a list a None there.

    Args:
        content: The plain content; changed in place.
        objects: The block of bytes, and the paths.
        only: The only part of the content to restore; all of it if None.
    """
    blob = objects["blob"].numpy().tobytes()
    for path, start, length in objects["index"]:
        if only is None or path[0] == only:
            _set_item(_containers_to(content, path), path[-1], unpickling.loads(blob[start : start + length]))
    if only is not None:
        return
    lost = objects.get("lost", [])
    for path, _ in lost:
        _set_item(_containers_to(content, path), path[-1], None)
        if isinstance(owner := _containers_to(content, path)[-1][2], dict):
            del owner[path[-1]]
    for part in _HYPERPARAMETER_KEYS:
        _remove_refusal(content, part, [(path, kind) for path, kind in lost if path[0] == part])
    callbacks = content.get(_CALLBACKS) or {}
    for name in [name for name in callbacks if str(name).startswith(_NOTICE)]:
        del callbacks[name]


def _remove_refusal(content: dict[str, Any], part: str, lost: list[tuple[list[Any], str]]) -> None:
    """Removes the refusal, or replaces it by one for the values that could not be pickled."""
    section = content.get(part)
    if lost:
        listed = ", ".join(f"`{'.'.join(map(str, path[1:])) or part}` ({kind})" for path, kind in lost)
        text = f"{_REFUSAL}{listed} could not be pickled; pass it: `NAME=..., _instantiator=None`"
        content[part] = {**(section if isinstance(section, dict) else {}), _INSTANTIATOR: text}
        content.pop(_HYPERPARAMETER_KEYS[part], None)
    elif type(section) is dict and _is_refusal(_INSTANTIATOR, section.get(_INSTANTIATOR)):
        del section[_INSTANTIATOR]


def drop_unpicklable(content: dict[str, Any]) -> None:
    """Removes hyperparameters that cannot be pickled, and makes `load_from_checkpoint` refuse."""
    for part in _HYPERPARAMETER_KEYS:
        section = content.get(part)
        entries = list(section.items()) if isinstance(section, dict) else []
        lost = [(name, value) for name, value in entries if not is_picklable(value)]
        if lost:
            content[part] = {name: value for name, value in entries if name not in dict(lost)}
            _remove_refusal(content, part, [([part, name], ExtractedValue((), value).kind) for name, value in lost])


def _containers_to(content: Any, path: list[Any]) -> list[tuple[Any, Any, Any]]:
    """The containers down to a path: the owner of each, its key there, and itself."""
    trail = [(None, None, content)]
    for part in path[:-1]:
        owner = trail[-1][2]
        trail.append((owner, part, owner[part]))
    return trail


def _set_item(trail: list[tuple[Any, Any, Any]], last: Any, value: object) -> None:
    """Sets an item of the innermost container; tuples on the way are replaced."""
    owner = trail[-1][2]
    if isinstance(owner, tuple):
        changed = list(owner)
        changed[last] = value
        _set_item(trail[:-1], trail[-1][1], tuple(changed))
    else:
        owner[last] = value
