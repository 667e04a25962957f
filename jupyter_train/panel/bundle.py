"""The output of a run: one mime bundle that every front end can show, with or without our extension."""

from __future__ import annotations

import base64
import html
from typing import Any

from jupyter_train.panel.format import value_text
from jupyter_train.panel.snapshot import packed
from jupyter_train.panel.status import notices, progress_parts, progress_text, series_of, status_text, tags_text
from jupyter_train.panel.svg import svg
from jupyter_train.panel.trials import trials_html, trials_text
from jupyter_train.run import RunStatus
from jupyter_train.store.text_columns import without_codes

MIME_TYPE = "application/vnd.jupyter-train.run+json"
_DOTS = {
    RunStatus.RUNNING: "#3b82f6",
    RunStatus.FINISHED: "#2da44e",
    RunStatus.STOPPED: "#7d8590",
    RunStatus.FAILED: "#d1444c",
    RunStatus.LOST: "#d1444c",
    RunStatus.PAUSED: "#e08700",
    RunStatus.QUEUED: "#7d8590",
}
_NOTICE = {"error": "#d1444c", "warning": "#b07503", "note": "#7d8590"}
_GREY = "color:#7d8590"


def bundle(snapshot: dict[str, Any], still: dict[str, Any] | None = None) -> dict[str, Any]:
    """The snapshot as our own mime type, HTML with a picture, and text.

    Args:
        snapshot: The run.
        still: An earlier bundle of the run, whose HTML and text are good enough for now.
    """
    if still is not None:
        return still | {MIME_TYPE: packed(snapshot)}
    return {MIME_TYPE: packed(snapshot), "text/html": as_html(snapshot), "text/plain": as_text(snapshot)}


def small_bundle(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Line and picture, for front ends without a JupyterLab renderer; one that comes later finds the run by its key."""
    shown: dict[str, Any] = {"families": [], "marks": [], "media": [], "events": [], "resources": {}, "config": {}}
    mime = {name: value for name, value in snapshot.items() if name != "study"} | shown
    return {MIME_TYPE: mime, "text/html": as_html(snapshot), "text/plain": as_text(snapshot)}


def loading_bundle(message: str) -> dict[str, Any]:
    """What is shown from Enter until the first step: one calm line."""
    shown = html.escape(message)
    return {
        MIME_TYPE: {"schema": 1, "run": "", "status": "loading", "message": message},
        "text/html": f'<div style="font:13px system-ui,sans-serif;{_GREY};padding:6px 0">{shown}</div>',
        "text/plain": message,
    }


def reference_bundle(snapshot: dict[str, Any]) -> dict[str, Any]:
    """A second panel of a run: its numbers, and where its curves are; at most 2 KB."""
    progress = progress_text(snapshot, "; ")
    message = f"{status_text(snapshot, is_saved=True)}  {progress}"[:300]
    where = "its curves are shown above, in the first panel of this run"
    shown = {name: snapshot[name] for name in ("schema", "as_of", "run", "ref", "kernel")}
    return {
        MIME_TYPE: shown | {"status": "reference", "message": message},
        "text/html": f'<div style="font:13px system-ui,sans-serif;padding:4px 0"><b>{html.escape(snapshot["ref"])}</b> '
        f'{html.escape(message)} <span style="{_GREY}">({where})</span></div>',
        "text/plain": without_codes(f"{snapshot['ref']}  {message} ({where})"),
    }


def empty_bundle() -> dict[str, Any]:
    """Takes a panel away again, when nothing came of it."""
    return {"text/plain": "", "text/html": ""}


def as_html(snapshot: dict[str, Any]) -> str:
    """A table and a picture, inline styles only: survives JupyterLab's sanitizer, GitHub and nbconvert."""
    dot = _NOTICE["warning"] if snapshot.get("ended_with") else _DOTS.get(snapshot["status"], "#7d8590")
    parts = [
        '<div style="font:13px system-ui,sans-serif;max-width:880px">',
        f'<div style="padding:4px 0"><span style="color:{dot}">&#9679;</span> <b>{html.escape(snapshot["ref"])}</b> '
        f'<span style="color:{dot}">{html.escape(status_text(snapshot, is_saved=True))}</span>{_tags(snapshot)}</div>',
        _table(snapshot),
        _notices(snapshot),
        _picture(snapshot),
        trials_html(snapshot["study"]) if snapshot.get("study") else "",
        _media(snapshot),
        "</div>",
    ]
    return "".join(parts)


def _tags(snapshot: dict[str, Any]) -> str:
    tags = ", ".join(snapshot.get("tags", []))
    return f' <span style="{_GREY}">{html.escape(tags)}</span>' if tags else ""


def _table(snapshot: dict[str, Any]) -> str:
    parts = progress_parts(snapshot)
    if not parts:
        return ""
    cells = "".join(
        f'<td style="text-align:left;padding:2px 18px 6px 0;border:0">{_label(label)}<b>{html.escape(value)}</b></td>'
        for label, value, _ in parts
    )
    return f'<table style="border-collapse:collapse;margin:0;border:0"><tr style="background:none">{cells}</tr></table>'


def _label(label: str) -> str:
    return f'<span style="{_GREY}">{html.escape(label)}</span> ' if label else ""


def _notices(snapshot: dict[str, Any]) -> str:
    return "".join(
        f'<div style="color:{_NOTICE[kind]};padding:2px 0">{html.escape(text)}</div>'
        for kind, text in notices(snapshot)
    )


def _picture(snapshot: dict[str, Any]) -> str:
    drawn = svg(snapshot)
    if not drawn:
        return ""
    source = "data:image/svg+xml;base64," + base64.b64encode(drawn.encode()).decode()
    return f'<img alt="{html.escape(alt_text(snapshot), quote=True)}" src="{source}" style="max-width:100%">'


def _media(snapshot: dict[str, Any]) -> str:
    shown = []
    for medium in snapshot.get("media", []):
        if medium.get("thumbnail"):
            label = html.escape(f"{medium['name']} · step {medium['step']:,}", quote=True)
            shown.append(
                f'<td style="border:0;padding:2px 10px 2px 0"><img alt="{label}" src="{medium["thumbnail"]}"><br>'
                f'<span style="{_GREY}">{label}</span></td>'
            )
    return f'<table style="border:0"><tr style="background:none">{"".join(shown)}</tr></table>' if shown else ""


def alt_text(snapshot: dict[str, Any]) -> str:
    """The picture as text: last values of every curve."""
    values = [f"{series['name']} {value_text(series['last'])}" for series in series_of(snapshot)]
    return f"Curves of {snapshot['ref']}: " + ", ".join(values[:12])


def as_text(snapshot: dict[str, Any]) -> str:
    """The run in a few lines of text."""
    head = f"{snapshot['ref']}  {status_text(snapshot, is_saved=True)}"
    progress = progress_text(snapshot)
    lines = [head, progress, tags_text(snapshot), *(text for _, text in notices(snapshot))]
    series = series_of(snapshot)
    width = max((len(curve["name"]) for curve in series), default=0)
    lines += [f"  {curve['name']:<{width}}  {value_text(curve['last']):>9}" for curve in series]
    if snapshot.get("study"):
        lines += trials_text(snapshot["study"])
    return without_codes("\n".join(line for line in lines if line))
