"""The notebooks run from the first cell to the last, the solutions too, and stay thin."""

import pathlib
import re

import matplotlib.pyplot as plt
import pytest

nbformat = pytest.importorskip("nbformat")

FOLDER = pathlib.Path(__file__).parents[1] / "notebooks"
# Small values for the parameters cell of each notebook.
SMALL = {
    "01_theta_construction": {},
    "02_accuracy_tables": {"epochs": 1, "train_images": 64, "seeds": 2},
    "03_training_dynamics": {"epochs": 2, "train_images": 64, "learning_rates": (0.1, 0.0001)},
    "04_your_own_data": {"epochs": 1, "train_images": 64},
}
MOST_LINES = 15
TRAINING_LOOP = re.compile(r"GradientTape|train_on_batch|\.backward\(|plt\.|for epoch in range")


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def cells_with_tag(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def with_parameters(notebook, values):
    """The notebook with a cell after its parameters that sets some of them, as papermill does."""
    [parameters] = cells_with_tag(notebook, "parameters")
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    for name in values:
        assert re.search(rf"^{name} = ", parameters.source, re.M), f"{name} is no parameter"
    cell = nbformat.v4.new_code_cell("\n".join(lines))
    notebook.cells.insert(notebook.cells.index(parameters) + 1, cell)
    return notebook


def test_no_notebook_is_left_out():
    assert sorted(SMALL) == sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs_without_its_solutions_and_then_these(name, monkeypatch, capsys):
    monkeypatch.chdir(FOLDER)
    notebook = with_parameters(read(name), SMALL[name])
    solutions = cells_with_tag(notebook, "solution")
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell not in solutions]
    namespace = {}  # one for all cells, as in a kernel
    for cell in [*cells, *solutions]:
        exec(compile(cell.source, f"{name}, a cell", "exec"), namespace)
        plt.close("all")
    said = capsys.readouterr().out
    assert "cannot be compared" not in said
    assert said.count("No answer yet") == len(solutions)
    if name == "01_theta_construction":
        assert "Not yet." not in said


@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_is_thin_and_committed_as_executed(name):
    notebook = read(name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    for cell in code:
        assert len(cell.source.splitlines()) <= MOST_LINES, cell.source
        assert not TRAINING_LOOP.search(cell.source), cell.source
        assert all(output.get("name") != "stderr" for output in cell.outputs)
    for cell in cells_with_tag(notebook, "solution"):
        assert cell.metadata["jupyter"]["source_hidden"]
    said = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    assert "Not yet." not in said
    answers = cells_with_tag(notebook, "solution")
    assert said.count("Right.") == len(answers) > 0
