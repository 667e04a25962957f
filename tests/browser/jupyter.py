"""Drives JupyterLab and Notebook 7: opens notebooks, runs cells, waits on the application rather than the page."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import nbformat
from playwright.sync_api import BrowserContext, Page, TimeoutError

_NUMBERS = itertools.count()
SCREENSHOTS = Path(__file__).parent / "screenshots"

_KERNEL_IS_READY = """() => {
  const kernel = window.jupyterapp?.shell?.currentWidget?.context?.sessionContext?.session?.kernel;
  return kernel && kernel.status === 'idle' && kernel.connectionStatus === 'connected';
}"""
#: The document, not only the page, has a run's panel at this status.
_IS_KEPT = """status => window.jupyterapp.shell.currentWidget.context.model.toJSON().cells
  .flatMap(cell => cell.outputs ?? [])
  .some(output => output.data?.['application/vnd.jupyter-train.run+json']?.status === status)"""
_KERNEL_IS_BUSY = """() =>
  window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.status === 'busy'"""


@dataclass(frozen=True)
class Server:
    """A running Jupyter server."""

    url: str
    token: str
    work: Path
    home: Path
    pid: int
    store: str


class Jupyter:
    """One browser context on one application."""

    def __init__(self, server: Server, context: BrowserContext, application: str) -> None:
        self.server = server
        self.application = application
        self._context = context
        self.page: Page = context.new_page()

    def close(self) -> None:
        self._context.close()

    def write_notebook(self, cells: list[str]) -> str:
        """A new notebook in the server's folder; gives its name."""
        name = f"test-{next(_NUMBERS)}.ipynb"
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.server.work / name)
        return name

    def open(self, name: str, kernel: bool = True) -> None:
        """Opens a notebook and waits for the application (and its kernel)."""
        place = "lab/tree" if self.application == "lab" else "notebooks"
        url = f"{self.server.url}/{place}/{name}?token={self.server.token}"
        for attempt in (1, 2):
            try:
                self.page.goto(url + ("&reset" if self.application == "lab" else ""))
                ready = _KERNEL_IS_READY if kernel else "() => document.querySelector('.jp-Notebook .jp-Cell')"
                self.page.wait_for_function(ready, timeout=45_000)
                return
            except TimeoutError:
                if attempt == 2:
                    raise

    def run_cell(self, index: int = 0) -> None:
        """Selects a cell and runs it."""
        self.page.evaluate("index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }", index)
        command = "notebook:run-cell"
        self.page.evaluate("command => { void window.jupyterapp.commands.execute(command); }", command)

    def is_busy(self) -> bool:
        return bool(self.page.evaluate(_KERNEL_IS_BUSY))

    def wait_until_idle(self, timeout_s: float = 90) -> None:
        self.page.wait_for_function(_KERNEL_IS_READY, timeout=timeout_s * 1000)

    def save(self) -> None:
        self.page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.context.save(); }")

    def save_once_kept(self, status: str) -> None:
        """Saves the document when a panel's last state has reached it, which the page may show a moment earlier."""
        self.page.wait_for_function(_IS_KEPT, arg=status)
        self.save()

    def shut_kernel_down(self) -> None:
        self.page.evaluate(
            "async () => { await window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown(); }"
        )

    def set_theme(self, name: str) -> None:
        self.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        light = "false" if "Dark" in name else "true"
        self.page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{light}'")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def screenshot(self, name: str) -> Path:
        """Keeps a picture of the window."""
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{self.application}-{name}.png"
        panel = self.page.locator(".jt-Panel, .jp-RenderedHTMLCommon").last
        panel.evaluate("node => node.scrollIntoView({block: 'end'})")
        self.page.wait_for_timeout(300)  # scrolling and canvas repaint have no event of their own
        self.page.screenshot(path=str(path))
        return path
