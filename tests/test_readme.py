"""The README's code runs and prints what the README says."""

import contextlib
import io
import pathlib
import re

import pandas as pd

from pls_keras.cli import main
from pls_keras.experiments.store import RunStore
from pls_keras.experiments.sweeps import SWEEPS

README = pathlib.Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)


def test_code_of_the_readme_prints_what_stands_below_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(README.read_text(encoding="utf-8"))
    assert len(blocks) >= 2
    namespace = {}
    for code, printed in blocks:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(code, README.name, "exec"), namespace)
        assert output.getvalue() == printed


def test_files_that_the_readme_shows_exist():
    for path in re.findall(r"!?\[[^\]]*\]\(([^)#]+)\)", README.read_text(encoding="utf-8")):
        assert path.startswith("http") or (README.parent / path).exists(), path


def test_tables_of_the_readme_are_those_of_the_results(tmp_path, monkeypatch):
    text = README.read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    main(["report", "readme", "--results", str(README.parent / "notebooks" / "results")])
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text
    assert "Not measured yet" not in text


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
