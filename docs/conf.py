"""The site: `sphinx-build -W docs build/site`. Notebooks are shown as they were executed."""

import contextlib
import io
import os
import pathlib
import shutil

from docutils import nodes
from latex2mathml.converter import convert

import pls_keras
from pls_keras.cli import COMMANDS, main

ROOT = pathlib.Path(__file__).parents[1]
# Sphinx reads one folder: what lies elsewhere is copied into it, and git ignores the copy.
shutil.copytree(
    ROOT / "notebooks",
    ROOT / "docs" / "notebooks",
    ignore=shutil.ignore_patterns("*.csv", "*.npz", ".*"),
    dirs_exist_ok=True,
)
os.environ["COLUMNS"] = "100"
(ROOT / "docs" / "help").mkdir(exist_ok=True)
for command in COMMANDS:
    with io.StringIO() as said:
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            main([command, "--help"])
        (ROOT / "docs" / "help" / f"{command}.txt").write_text(said.getvalue(), encoding="utf-8")

project, author = "pls_keras", "the authors of pls_keras"
version = release = pls_keras.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]
exclude_patterns = ["notebooks/results/[a-z]*.md"]  # parts of that folder's README
nitpicky = True
nitpick_ignore = [("py:class", "numpy.ndarray")]  # NumPy's pages are elsewhere
default_role = "code"  # docstrings have one backtick around code

autodoc_inherit_docstrings = False  # Keras documents its own
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # for tables
nb_ipywidgets_js = {}  # nothing is fetched from elsewhere
html_math_renderer = "mathml"

pygments_dark_style = "github-dark"
html_theme = "furo"
html_title = f"pls_keras {version}"
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_copy_source = html_show_sourcelink = html_show_copyright = False


def _formula(translator, node):
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    translator.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def _link_to_copies(app, name, source):
    """What is right in the repository, for one who reads the pages there."""
    source[0] = source[0].replace("](../notebooks/", "](notebooks/")


def setup(app):
    """Formulas as MathML, which browsers draw without a script."""
    app.connect("source-read", _link_to_copies)
    app.add_html_math_renderer("mathml", (_formula, None), (_formula, None))
