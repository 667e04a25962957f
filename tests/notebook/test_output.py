"""The executed notebook: what it holds, and where it may be written."""

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
from jupyter_train.exceptions import NotebookError, RepeatFailedError
from jupyter_train.notebook.output import is_url, output_of, save_notebook, write_html
from tests.notebook.written import write

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


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("s3://b/x", True),
        ("https://a.org/x", True),
        ("s3:/b/x", True),
        ("C:/x", False),
        ("/x", False),
        ("a.ipynb", False),
    ],
)
def test_a_url_is_told_from_a_path(target: str, expected: bool) -> None:
    assert is_url(target) is expected


def test_a_path_is_made_absolute_and_its_folders_are_made(tmp_path: Path) -> None:
    source = write(tmp_path / "nightly.ipynb", ["1"])
    notebook = nbformat.read(source, 4)
    assert output_of(notebook, source, "") == ""
    assert output_of(notebook, source, "deep/down/out.ipynb") == str(tmp_path / "deep" / "down" / "out.ipynb")
    assert list((tmp_path / "deep" / "down").iterdir()) == []
    assert output_of(notebook, source, "deep") == str(tmp_path / "deep" / "nightly.ipynb")
    (tmp_path / "link.ipynb").symlink_to(source)
    for same in (".", "nightly.ipynb", "link.ipynb"):
        with pytest.raises(NotebookError, match="is the notebook itself, which is never written"):
            output_of(notebook, source, same)
    (tmp_path / "file").touch()
    with pytest.raises(NotebookError, match="cannot write the output"):
        output_of(notebook, source, "file/out.ipynb")


def test_a_notebook_with_half_a_letter_is_saved_all_the_same(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print('\ud800 ä')")])
    save_notebook(notebook, str(tmp_path / "out.ipynb"))
    assert b"\xc3\xa4" in (tmp_path / "out.ipynb").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]


def test_a_copy_that_cannot_be_written_as_html_says_why(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# hello")])
    write_html(notebook, "nightly", tmp_path / "out.html")
    text = (tmp_path / "out.html").read_text()
    assert "<title>nightly</title>" in text
    assert "hello" in text
    with pytest.raises(RepeatFailedError, match=r"could not be written: \w+Error: "):
        write_html(notebook, "nightly", tmp_path / "none" / "out.html")
