"""The README's code runs and prints what the README says."""

import contextlib
import io
import pathlib
import re

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
