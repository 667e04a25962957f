"""The executed copy: what it holds, where it may go, and which notebooks there are to be copied."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import nbformat
import pytest

from jupyter_train import retrain, runs
from jupyter_train.cli import main
from jupyter_train.exceptions import NotebookError, OptionError
from jupyter_train.notebook.redacted_notebook import NotebookRedactor
from tests.notebook.written import KERNEL, printed, write

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


class Bucket(BaseHTTPRequestHandler):
    """Keeps what is put into it."""

    kept: dict[str, bytes]

    def do_PUT(self) -> None:
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403 if self.path.startswith("/closed") else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@pytest.fixture
def bucket() -> Iterator[HTTPServer]:
    Bucket.kept = {}
    server = HTTPServer(("127.0.0.1", 0), Bucket)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("is_direct", [False, True])
def test_the_copy_does_not_hold_its_source_twice(tmp_path: Path, is_direct: bool) -> None:
    import papermill

    source = write(tmp_path / "big {x}.ipynb", [f"text = '{'a' * 1_000_000}'"])
    target = tmp_path / "out.ipynb"
    if is_direct:
        given = nbformat.read(source, 4)
        papermill.execute_notebook(given, str(target), engine_name="jupyter_train", progress_bar=False)
    else:
        retrain(source, {}, target)
    metadata = nbformat.read(target, 4).metadata
    assert len(json.dumps(metadata)) < 2_000
    assert metadata.papermill.input_path == (None if is_direct else str(source))
    assert metadata.papermill.output_path == str(target)


def test_the_copy_goes_to_a_url_through_papermill(tmp_path: Path, bucket: HTTPServer) -> None:
    source = write(tmp_path / "nightly.ipynb", ["print('there')"])
    url = f"http://127.0.0.1:{bucket.server_port}/out.ipynb"
    assert main(["retrain", str(source), "-o", url, "--html"]) == 0
    copy = json.loads(Bucket.kept["/out.ipynb"])
    assert copy["cells"][0]["outputs"][0]["text"] in ("there\n", ["there\n"])
    assert runs()[0].record.summary["output"] == url
    assert "there" in Path(runs()[0].record.folder, "notebook", "nightly.html").read_text()
    assert not (tmp_path / "http:").exists()


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("http://127.0.0.1:{port}/closed/out.ipynb", "403"),
        ("s3://bucket/out.ipynb", "cannot write the output `s3://bucket/out.ipynb`"),
        ("gs://bucket/out.ipynb", "cannot write the output `gs://bucket/out.ipynb`"),
        ("https://github.com/a/b/blob/main/out.ipynb", "write is not supported"),
        ("S3://bucket/out.ipynb", "Did you mean `s3://`?"),
        ("s3:/bucket/out.ipynb", "not to `s3://`"),
        ("s3:bucket/out.ipynb", "`-o s3:bucket/out.ipynb`: write `s3://bucket/out.ipynb`"),
        ("ftp://host/out.ipynb", "papermill writes to abs://"),
        ("-", "name one, such as `-o out.ipynb`"),
        ("/proc/out.ipynb", "cannot write the output `/proc/out.ipynb`"),
        ("/proc/folder/out.ipynb", "cannot write the output `/proc/folder/out.ipynb`"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path,
    bucket: HTTPServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: str,
    words: str,
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    source = write(tmp_path / "nightly.ipynb", ["open('began', 'w')"])
    assert main(["retrain", str(source), "-o", output.format(port=bucket.server_port)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
    assert len(runs()) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nightly.ipynb", "store"]


def old(path: Path) -> Path:
    """A notebook of format 3, which names no kernel."""
    cells = [
        {
            "cell_type": "code",
            "input": ["lr = 1"],
            "language": "python",
            "metadata": {"tags": ["parameters"]},
            "outputs": [],
            "collapsed": False,
        },
        {
            "cell_type": "code",
            "input": "print(lr)",
            "language": "python",
            "metadata": {},
            "outputs": [],
            "collapsed": False,
        },
    ]
    content = {"metadata": {"name": "old"}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}
    path.write_text(json.dumps(content))
    return path


def without_kernel(path: Path) -> Path:
    return write(path, ["print(lr)"], "lr = 1", kernel=None)


@pytest.mark.parametrize("made", [old, without_kernel])
def test_a_notebook_that_names_no_kernel_is_executed_with_one_that_is_named(tmp_path: Path, made, capsys) -> None:
    source = made(tmp_path / "old.ipynb")
    assert main(["retrain", str(source), "-p", "lr", "3"]) == 2
    assert "names no kernel; name one: `--kernel NAME`. Installed: `python3`" in capsys.readouterr().err
    assert len(runs()) == 0
    target = tmp_path / "out.ipynb"
    assert main(["retrain", str(source), "-p", "lr", "3", "--kernel", "python3", "-o", str(target)]) == 0
    assert printed(target) == "3\n"
    assert nbformat.read(target, 4).metadata.kernelspec["name"] == "python3"
    assert [run.status for run in runs()] == ["finished"]


def test_a_kernel_says_its_language_where_the_notebook_does_not(tmp_path: Path) -> None:
    source = write(tmp_path / "nightly.ipynb", ["print(lr)"], "lr = 1", {"name": "python3", "display_name": "P"})
    retrain(source, {"lr": 3}, tmp_path / "out.ipynb")
    assert printed(tmp_path / "out.ipynb") == "3\n"


def test_a_kernel_that_is_not_here_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "nightly.ipynb", ["1"], kernel={**KERNEL, "name": "conda-env-x"})
    with pytest.raises(
        NotebookError, match="names the kernel `conda-env-x`, which is not installed; name one: `--kern"
    ):
        retrain(source)
    with pytest.raises(OptionError, match=r"there is no such kernel\. Did you mean `python3`\?"):
        retrain(source, kernel="python")
    assert len(runs()) == 0


def test_a_cell_without_a_source_is_no_cell(tmp_path: Path) -> None:
    source = write(tmp_path / "nightly.ipynb", ["1"])
    content = json.loads(source.read_text())
    content["cells"][0]["source"] = 1
    source.write_text(json.dumps(content))
    with pytest.raises(NotebookError, match="is not a notebook: cell 1 has no type, text source or metadata"):
        retrain(source)
    assert len(runs()) == 0


def test_what_was_masked_is_not_read_again(tmp_path: Path) -> None:
    """A notebook is saved twice a cell: an output of many megabytes is looked through once."""
    nb = nbformat.read(write(tmp_path / "loud.ipynb", ["api_key = 'zz91aabbcc'"]), 4)
    nb.cells[0].outputs = [nbformat.v4.new_output("stream", text="zz91aabbcc\n" * 10)]
    mask = NotebookRedactor()
    first, second = (mask.masked(nb).cells[0].outputs[0].text for _ in range(2))
    assert "zz91aabbcc" not in first
    assert first is second
    nb.cells[0].outputs[0].text += "token=zz91aabbcc"
    assert "zz91aabbcc" not in mask.masked(nb).cells[0].outputs[0].text
