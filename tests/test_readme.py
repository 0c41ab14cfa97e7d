"""The README's code runs and prints what the README says."""

import contextlib
import io
import pathlib
import re
import shutil

import pandas as pd
import pytest

import pls_keras
from pls_keras.cli import main
from pls_keras.experiments.store import RunStore
from pls_keras.experiments.sweeps import SWEEPS

README = pathlib.Path(__file__).parents[1] / "README.md"
RESULTS = README.parent / "notebooks" / "results"
SPEED = README.parent / "docs" / "speed.md"
PAGES = (README, SPEED, RESULTS / "README.md")
GENERATED = re.compile(r"<!-- (\w+) -->\n.*?<!-- end of \1 -->", re.DOTALL)
DECIMAL = re.compile(r"\d+\.\d+")
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)


def test_code_of_the_readme_prints_what_stands_below_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages = README, README.parent / "docs" / "thetas.md"
    blocks = [block for page in pages for block in BLOCK.findall(page.read_text(encoding="utf-8"))]
    assert len(blocks) >= 3
    namespace = {}
    for code, printed in blocks:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(code, README.name, "exec"), namespace)
        assert output.getvalue() == printed


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_shows_exist(page):
    for path in re.findall(r"!?\[[^\]]*\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert path.startswith("http") or (page.parent / path).exists(), path


def test_tables_of_the_pages_are_those_of_the_results(tmp_path, monkeypatch):
    results = tmp_path / "results"
    shutil.copytree(RESULTS, results, ignore=shutil.ignore_patterns("*.png", "*.npz"))
    copies = tmp_path / "README.md", tmp_path / "docs" / "speed.md", results / "README.md"
    copies[1].parent.mkdir()
    for page, copy in zip(PAGES, copies, strict=True):
        shutil.copy(page, copy)
    monkeypatch.chdir(tmp_path)
    main(["report", "readme", "--results", "results"])
    for page, copy in zip(PAGES, copies, strict=True):
        text = page.read_text(encoding="utf-8")
        assert copy.read_text(encoding="utf-8") == text
        assert "Not measured yet" not in text


def test_numbers_in_the_prose_on_results_are_in_their_tables():
    prose = README.read_text(encoding="utf-8").partition("## Results")[2].partition("\n## ")[0]
    prose += GENERATED.sub("", PAGES[-1].read_text(encoding="utf-8"))
    tables = " ".join(
        path.read_text(encoding="utf-8") for path in RESULTS.glob("*.md") if path.stem != "README"
    )
    tables += " ".join(match[0] for match in GENERATED.finditer(PAGES[-1].read_text(encoding="utf-8")))
    measured = {float(number) for number in DECIMAL.findall(tables)}
    stated = DECIMAL.findall(prose)
    assert len(stated) > 20
    for number in stated:
        decimals = len(number.partition(".")[2])
        assert any(f"{value:.{decimals}f}" == number for value in measured), number


def test_report_readme_writes_the_table_that_a_comment_names(tmp_path, monkeypatch):
    store, runs = RunStore(tmp_path / "store"), SWEEPS["table2"]("smoke")
    for run in runs:
        scores = {"macro_f1": 0.5, "ece": 0.1, "nll": 1.0, "fraction": 1.0}
        where = {"seconds": 1.0, "hardware": "2 cores", "backend": "tensorflow"}
        store.write(run, pd.DataFrame({"epoch": [1]}), {"scores": scores, **where})
    monkeypatch.chdir(tmp_path)
    main(["report", "table2", "--store", "store", "--results", "."])
    (tmp_path / "README.md").write_text("a\n<!-- table2 -->\nold\n<!-- end of table2 -->\nz\n", "utf-8")
    main(["report", "readme", "--results", "."])
    written = (tmp_path / "README.md").read_text(encoding="utf-8")
    table = (tmp_path / "table2.md").read_text(encoding="utf-8").strip()
    assert written == f"a\n<!-- table2 -->\n{table}\n<!-- end of table2 -->\nz\n"


def test_changelog_and_citation_name_the_version():
    root = README.parent
    newest = re.search(r"^## (\S+)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[1]
    cited = re.search(r"^version: (\S+)", (root / "CITATION.cff").read_text("utf-8"), re.MULTILINE)[1]
    assert newest == cited == pls_keras.__version__
