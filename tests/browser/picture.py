"""Takes the README's picture, `notebooks/panel.png`: `python -m tests.browser.picture`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.browser import serving
from tests.browser.jupyter import Jupyter
from tests.browser.training import PANEL, SETUP, STEP

PICTURE = Path(__file__).parents[2] / "notebooks" / "panel.png"
LINE = "run = %train LitDigits(hidden=64) (images, labels) --epochs 20 --early-stop val_loss:3 --name digits"


def main() -> None:
    """A run whose learning rate was halved and which wrote a checkpoint, in the middle of its training."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving.chromium() as browser,
        serving.jupyter_server(Path(folder)) as server,
    ):
        context = browser.new_context(viewport={"width": 1080, "height": 1000}, device_scale_factor=2)
        context.set_default_timeout(120_000)
        jupyter = Jupyter(server, context, "notebook")
        jupyter.open(jupyter.write_notebook([f"{SETUP}\nimages, labels = X, y\nLitDigits.pause_s = 0.02", LINE]))
        jupyter.run_cell(0)
        jupyter.wait_until_idle()
        jupyter.run_cell(1)
        take(jupyter)


def take(jupyter: Jupyter) -> None:
    """Steers the run as the picture shows it, and takes the cell."""
    page = jupyter.page
    page.wait_for_selector(f"{PANEL} canvas")
    for step, button in ((170, "Checkpoint"), (300, "×½"), (430, None)):
        page.wait_for_function(f"() => ({STEP})() > {step}")
        if button:
            page.get_by_role("button", name=button, exact=True).first.click()
    page.mouse.move(0, 0)
    page.locator(".jp-CodeCell").nth(1).screenshot(path=str(PICTURE))


if __name__ == "__main__":
    main()
