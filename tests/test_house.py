"""The plan of the house, as `pls_keras.__doc__` has it, holds: imports go down, in no circle."""

import ast
import graphlib
import pathlib
import re

import pytest

import pls_keras

ROOT = pathlib.Path(pls_keras.__file__).parent
FLOORS = {
    room: int(floor) for floor, room in re.findall(r"^    (\d)  (\w+)", pls_keras.__doc__, re.MULTILINE)
}
# A theta fetches what draws it when it is asked to plot, as pandas does.
EXCEPTION = ("pls_keras.thetas.theta", "pls_keras.reports.plots")
# What may be imported inside a function: packages that are heavy, or not installed everywhere.
LAZY = {
    "IPython": "an extra",
    "filelock": "an extra",
    "gensim": "a second, for those alone who load vectors",
    "ipywidgets": "an extra",
    "jax": "a backend",
    "ray": "an extra",
    "tensorflow": "a backend",
    "tensorflow_datasets": "reads CIFAR once",
    "torch": "a backend",
}


def module_name(path):
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): ast.parse(path.read_text("utf-8")) for path in ROOT.rglob("*.py")}


def imported(node):
    """Dotted names that an import statement brings in."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, "imports are absolute"
    parts = [f"{node.module}.{alias.name}" for alias in node.names]
    return [part if part in MODULES else node.module for part in parts]


def imports(tree):
    return [
        name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in imported(node)
    ]


def own_imports(module):
    return {
        name
        for name in imports(MODULES[module])
        if name in MODULES and (module, name) != EXCEPTION and not f"{module}.".startswith(f"{name}.")
    }


def room(module):
    return module.split(".")[1]


def test_every_room_stands_in_the_plan():
    rooms = {room(module) for module in MODULES if "." in module}
    assert {name for name in rooms if not name.startswith("_")} == set(FLOORS)


@pytest.mark.parametrize(
    "module", [name for name in MODULES if "." in name and not room(name).startswith("_")]
)
def test_imports_go_down(module):
    assert "pls_keras" not in imports(MODULES[module]), "the door leads out"
    up = {name for name in own_imports(module) if FLOORS.get(room(name), 0) > FLOORS[room(module)]}
    assert not up


@pytest.mark.parametrize("of", [lambda module: module, room], ids=["modules", "rooms"])
def test_no_imports_go_in_a_circle(of):
    graph = {}
    for module in MODULES:
        if "." in module:
            beside = {of(name) for name in own_imports(module) if "." in name}
            graph.setdefault(of(module), set()).update(beside - {of(module)})
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("module", MODULES)
def test_a_function_imports_nothing_but_heavy_or_optional_packages(module):
    functions = [node for node in ast.walk(MODULES[module]) if isinstance(node, ast.FunctionDef)]
    names = {name for function in functions for name in imports(function)}
    names -= {EXCEPTION[1]} if module == EXCEPTION[0] else set()
    assert {name.partition(".")[0] for name in names} <= set(LAZY)
