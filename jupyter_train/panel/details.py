"""What a panel shows of a run as details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_train.events import EventKind
from jupyter_train.store import RunFolder

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store import Store
    from jupyter_train.store.runs import Event

_MAX_EVENTS = 200
_MAX_LOG_BYTES = 16_384
_MAX_NOTE_LETTERS = 10_000
NOTE_RULE = f"a text of at most {_MAX_NOTE_LETTERS:,} letters"


def details(store: Store, key: str) -> dict[str, Any]:
    """`events`, `log` (its end), `environment`, `config`, `note`, `tags`, and `links` to where more of it lies.

    Raises:
        RunNotFoundError: There is no such run.
    """
    record = store.get(key)
    folder = RunFolder(record.folder)
    events = store.events_of(key)[-_MAX_EVENTS:]
    environment = folder.read_provenance().get("environment")
    return {
        "events": [{"at": event.at, "step": event.step, "kind": event.kind, "text": event.text} for event in events],
        "log": folder.end_of_log(_MAX_LOG_BYTES),
        "environment": environment if isinstance(environment, dict) else {},
        "config": {name: value for name, value in record.config.items() if value not in (None, [], {}, False)},
        "note": record.note,
        "tags": list(record.tags),
        "links": _links(record, events),
    }


def _links(record: RunRecord, events: list[Event]) -> list[dict[str, str]]:
    """Each with `name` and `text`, and with `url` where a browser can go there."""
    places = [str(event.data["place"]) for event in events if event.kind == EventKind.MIRROR and "place" in event.data]
    place = places[-1] if places else ""
    links = [
        {"name": "notebook", "text": record.notebook},
        {"name": "folder", "text": record.folder},
        {"name": "W&B", "text": place} | ({"url": place} if place.startswith(("https://", "http://")) else {}),
    ]
    return [link for link in links if link["text"]]


def checked_note(note: object) -> str:
    """The note.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(note, str) or len(note) > _MAX_NOTE_LETTERS:
        raise ValueError(NOTE_RULE)
    return note


def set_note(store: Store, key: str, note: str) -> dict[str, Any]:
    """Keeps a note with a run; gives it as it is kept.

    Raises:
        RunNotFoundError: There is no such run.
        StoreError: It is another user's.
    """
    store.check_owner(store.get(key))
    store.update(key, note=note)
    return {"note": store.get(key).note}
