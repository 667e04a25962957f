"""A run's curves as a picture file."""

from __future__ import annotations

from pathlib import Path

from jupyter_train.exceptions import StoreError


def write_picture(drawn: str, path: str | Path) -> Path:
    """Writes an SVG text as `.svg`, or rendered as `.png` at twice its size.

    Raises:
        StoreError: The ending is another, or nothing was drawn.
    """
    path = Path(path)
    if not drawn:
        raise StoreError("there are no curves yet")
    if path.suffix == ".svg":
        path.write_text(drawn, encoding="utf-8")
    elif path.suffix == ".png":
        import resvg_py

        path.write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=drawn, zoom=2, background="white")))
    else:
        raise StoreError(f"`{path.name}`: expected a name ending in `.svg` or `.png`")
    return path
