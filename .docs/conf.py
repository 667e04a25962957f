"""The documentation site: `.ci/docs` builds it. Notebooks are executed, with a run store of the build's own."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import jupyter_train

sys.path.insert(0, str(Path(__file__).parent / "extensions"))
_folder = tempfile.TemporaryDirectory(prefix="jupyter-train-docs-", ignore_cleanup_errors=True)
os.environ |= {
    "JUPYTER_TRAIN_STORE": f"{_folder.name}/store.db",
    "JUPYTER_TRAIN_HOME": f"{_folder.name}/runs",
    "WANDB_MODE": "offline",
    "OMP_NUM_THREADS": "1",  # small models are slower on several
}

project = "jupyter_train"
author = "The jupyter_train developers"
release = version = jupyter_train.__version__
html_title = "jupyter_train"
language = "en"

extensions = [
    "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "reference", "repository",
]  # fmt: skip
exclude_patterns = ["_build", "extensions", "front", "static"]
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
#: A panel is HTML as well, which is what a page shows.
suppress_warnings = ["mystnb.unknown_mime_type", "misc.highlighting_failure"]

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
add_module_names = False
napoleon_numpy_docstring = False
