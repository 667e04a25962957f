"""Converts logged images to PNG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_MAX_SIDE = 1024


def to_png(image: object) -> bytes:
    """An image as PNG, at most 1,024 pixels a side.

    Args:
        image: An array or tensor `(H, W)`, `(H, W, C)` or `(C, H, W)`, a PIL image, or a path.
    """
    from PIL import Image

    picture: Image.Image
    if isinstance(image, str | Path):
        picture = Image.open(image)
    elif isinstance(image, Image.Image):
        picture = image
    else:
        picture = Image.fromarray(_to_byte_array(image))
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _to_byte_array(image: object) -> np.ndarray[Any, Any]:
    """An array `(H, W)` or `(H, W, C)` of uint8; NaN becomes 0."""
    import numpy as np

    array = image.detach().float().cpu().numpy() if hasattr(image, "detach") else np.asarray(image)
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3):
        raise ValueError(f"an image has shape (H, W), (H, W, C) or (C, H, W), not {array.shape}")
    if array.dtype != np.uint8:
        high = float(np.nanmax(array)) if array.size else 1.0
        scale = 255.0 if high <= 1.0 + 1e-6 else 1.0
        array = np.clip(np.nan_to_num(array) * scale, 0, 255).astype(np.uint8)
    return array
