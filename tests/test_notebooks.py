"""The notebooks run from the first cell to the last, the solutions too, and stay thin."""

import base64
import json
import pathlib
import re

import matplotlib.pyplot as plt
import pytest

import pls_keras.models
from pls_keras.experiments import runner
from pls_keras.labs.answers import QUESTIONS

FOLDER = pathlib.Path(__file__).parents[1] / "notebooks"
# Small values for the parameters cell of each notebook.
SMALL = {
    "01_theta_construction": {},
    "02_accuracy_tables": {"epochs": 1, "train_images": 64, "seeds": 2},
    "03_training_dynamics": {"epochs": 2, "train_images": 64, "seeds": 1, "learning_rates": (0.1, 0.0001)},
    "04_your_own_data": {"epochs": 1, "train_images": 64},
}
MOST_LINES = 15
TRAINING_LOOP = re.compile(r"GradientTape|train_on_batch|\.backward\(|plt\.|for epoch in range")


class Node(dict):
    """An object of a notebook's file; its fields are attributes, and texts are whole, not in lines."""

    def __init__(self, fields):
        lines = {"source", "text", "image/png"}
        joined = {k: "".join(v) for k, v in fields.items() if k in lines and isinstance(v, list)}
        super().__init__(fields | joined)

    __getattr__ = dict.__getitem__


def read(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"), object_hook=Node)


def cells_with_tag(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def with_parameters(notebook, values):
    """The notebook with a cell after its parameters that sets some of them, as papermill does."""
    [parameters] = cells_with_tag(notebook, "parameters")
    lines = [f"{name} = {value!r}\n" for name, value in values.items()]
    for name in values:
        assert re.search(rf"^{name} = ", parameters.source, re.M), f"{name} is no parameter"
    cell = Node({"cell_type": "code", "metadata": Node({}), "source": lines})
    notebook.cells.insert(notebook.cells.index(parameters) + 1, cell)
    return notebook


def test_no_notebook_is_left_out():
    assert sorted(SMALL) == sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.usefixtures("one_block")
@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs_without_its_solutions_and_then_these(name, monkeypatch, capsys):
    monkeypatch.chdir(FOLDER)
    monkeypatch.setattr(runner, "fastest_workers", lambda: (1, "no process to start"))
    resnet = pls_keras.models.ResNet
    monkeypatch.setattr(pls_keras.models, "ResNet", lambda blocks, **options: resnet((1,), **options))
    # XLA compiles for longer than these few steps take.
    monkeypatch.setattr("keras.src.trainers.trainer.model_supports_jit", lambda model: False)
    notebook = with_parameters(read(name), SMALL[name])
    solutions = cells_with_tag(notebook, "solution")
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell not in solutions]
    namespace = {}  # one for all cells, as in a kernel
    for cell in [*cells, *solutions]:
        exec(compile(cell.source, f"{name}, a cell", "exec"), namespace)
        plt.close("all")
    said = capsys.readouterr().out
    assert "cannot be compared" not in said
    questions = [question for question in QUESTIONS if question.startswith(name[1])]
    assert said.count("No answer yet") == len(solutions) == len(questions)
    # With networks that have hardly been trained the answer to 4.3 may be another.
    assert said.count("Right.") >= len(questions) - (name == "04_your_own_data")


@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_is_thin_and_committed_as_executed(name):
    notebook = read(name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        shows = any("image/png" in output.get("data", {}) for output in cell.outputs)
        assert shows == bool(re.search(r"^(plot_\w+|opening)\(", cell.source, re.M)), cell.source
        assert len(cell.source.splitlines()) <= MOST_LINES, cell.source
        assert not TRAINING_LOOP.search(cell.source), cell.source
        assert all(output.get("name") != "stderr" for output in cell.outputs)
    assert cells_with_tag(notebook, "opening") == code[:1]
    for cell in (*code[:1], *cells_with_tag(notebook, "solution")):
        assert cell.metadata["jupyter"]["source_hidden"]
    for cell in cells_with_tag(notebook, "solution"):
        assert not cell.outputs
        assert re.match(r"# A solution of exercise \d\n", cell.source)  # all that shows when it is folded
    # A progress bar would stay at its beginning where no kernel runs.
    shown = [text for cell in code for output in cell.outputs for text in output.get("data", {}).values()]
    assert not any("0%|" in str(text) for text in shown)
    said = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    assert "Not yet." not in said


@pytest.mark.parametrize("name", SMALL)
def test_figures_fit_the_page_at_twice_its_density(name):
    for cell in read(name).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                shown = output.metadata["image/png"]
                assert shown["width"] <= 930
                assert shown["height"] <= 520
                width = int.from_bytes(base64.b64decode(output.data["image/png"])[16:20])
                assert width == pytest.approx(2 * shown["width"], abs=2)


@pytest.mark.parametrize("name", SMALL)
def test_the_students_copy_holds_no_answer(name):
    """The copy is what `notebooks/README.md` says: the notebook without the cells of solutions."""
    notebook = read(name)
    solutions = cells_with_tag(notebook, "solution")
    text = "\n".join(cell.source for cell in notebook.cells if cell not in solutions)
    calls = re.findall(r"check\(.*\)", text)
    assert calls
    assert all(re.fullmatch(r'check\("\d\.\d", answer_\d\)', call) for call in calls)
    assert re.findall(r"^answer_\d = (\S+)", text, re.M) == ["..."] * len(solutions)
