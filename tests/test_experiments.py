"""Specs, the run store and the runner."""

import dataclasses
import itertools
import os
import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pls_keras import Theta, cluster_theta, uniform_theta
from pls_keras.data import load_digits
from pls_keras.data.labels import CBET_LABELS
from pls_keras.experiments import memory
from pls_keras.experiments.results import kept_runs, merge_results, read_guesses
from pls_keras.experiments.runner import execute, run_sweep
from pls_keras.experiments.scoring import guesses
from pls_keras.experiments.specs import ImageRun, TextRun
from pls_keras.experiments.store import RunStore, describe_environment
from pls_keras.experiments.sweeps import (
    CANDIDATES,
    SCALES,
    SWEEPS,
    TEXTS,
    candidate_names,
    goemotions,
    table2,
    table3,
)

pytestmark = pytest.mark.usefixtures("one_block")
RESULTS = pathlib.Path(__file__).parents[1] / "notebooks" / "results"


def small_run(method="SEMLS", **fields):
    small = {"model": "ResNet8", "width": 4, "epochs": 1, "train_images": 64, "batch_size": 32}
    return ImageRun(dataset="digits", method=method, scale="smoke", **small | fields)


def write(store, run, value=0.5):
    history = pd.DataFrame({"epoch": [1, 2], "loss": [value, value]})
    where = {"seconds": 1, "hardware": "h", "backend": "b"}
    store.write(run, history, {"scores": {"accuracy": value}, **where})


@pytest.mark.parametrize("run", [small_run(), TextRun(dataset="tec", method="ULS")])
def test_key_of_a_run_depends_on_every_field_and_on_nothing_else(run):
    keys = {run.key, dataclasses.replace(run).key}
    assert len(keys) == 1
    for field in dataclasses.fields(run):
        value = getattr(run, field.name)
        other = {"method": "NoLS", "vectors": "glove"}.get(field.name, (value or 0, 1))
        keys.add(dataclasses.replace(run, **{field.name: other}).key)
    assert len(keys) == 1 + len(dataclasses.fields(run))


@pytest.mark.parametrize("folder", ["", "elsewhere/"])
def test_key_of_a_run_is_the_same_in_each_process_and_folder(folder):
    run = TextRun(dataset="tec", method="ULS", vectors=f"{folder}glove.6B.50d.txt")
    assert run.key == "5b91a9ecbd333f4e"
    assert run.record()["vectors"] == "glove.6B.50d"


@pytest.mark.parametrize("method", ["PLS", "ULS^2", "SEMLS8", "SEMLS^", "SEMLS@0.5", "CLS@5", ""])
def test_a_method_that_does_not_exist_is_an_error(method):
    with pytest.raises(ValueError, match="method must be one of"):
        small_run(method)


def test_sweeps_hold_each_run_of_the_paper_once():
    assert len({run.key for run in table2()}) == 3 * 3 * 5
    runs = table3()
    assert len({run.key for run in runs}) == 3 * 3 * 3 * 5
    classes = {run.classes for run in runs}
    assert sorted(map(len, classes)) == [3, 3, 3, 5, 5, 5, 7, 7, 7]
    assert all(set(names) <= set(CBET_LABELS) for names in classes)
    assert len({run.key for run in goemotions()}) == 9 * 5
    assert len({run.key for run in SWEEPS["table1"]()}) == 14 * 5
    for figure in ("figure3", "figure4", "figure5"):
        runs = SWEEPS[figure]()
        assert len({run.key for run in runs}) == 4 * 3 * 5
        assert {(run.epochs, run.weight_decay, run.drops) for run in runs} == {(160, 0.0, ())}
    assert all(run.smoothing_ratio == 0.1 for sweep in SWEEPS.values() for run in sweep())
    images = {run for sweep in SWEEPS.values() for run in sweep() if isinstance(run, ImageRun)}
    beyond = {"ULS-others", "SEMLS^4", "SEMLS^8", "SEMLS@5"}
    assert sum(run.epochs for run in images if run.method not in beyond) == 27_600


def test_candidates_of_the_tuning_have_names_and_the_chosen_one_is_table2s():
    for scale in ("paper", "smoke"):
        fields = {"vectors": "some/glove.6B.50d.txt"} if scale == "paper" else {}
        runs = SWEEPS["tuning"](scale, **fields)
        names = candidate_names("glove.6B.50d.txt")
        assert {names[run.key] for run in runs} == set(CANDIDATES)
        assert len({run.key for run in runs}) == len(runs)
        chosen = {run.key for run in runs if names[run.key] == "chosen"}
        assert chosen < {run.key for run in table2(scale, **fields)}


@pytest.mark.parametrize(("name", "sweep"), [item for item in SWEEPS.items() if item[0] != "tuning"])
def test_methods_of_a_sweep_share_folds_seeds_and_all_else(name, sweep):
    for scale in ("paper", "smoke") if name in TEXTS else SCALES:
        methods = {}
        for run in sweep(scale):
            assert run.scale == scale
            rest = dataclasses.replace(run, method="NoLS", seed=0)
            methods.setdefault(rest, []).append((run.seed, run.method))
        for pairs in methods.values():
            seeds, names = ({pair[i] for pair in pairs} for i in (0, 1))
            assert len(pairs) == len(set(pairs)) == len(seeds) * len(names)
            assert {"NoLS", "ULS", "SEMLS"} <= names


def test_sharpened_runs_share_those_of_table1():
    for scale in SCALES:
        of_table1 = SWEEPS["table1"](scale)
        keys = {run.key for run in of_table1}
        shared = {(run.method, run.seed) for run in SWEEPS["sharpened"](scale) if run.key in keys}
        methods = ["NoLS", "ULS", "CLS", "SEMLS"] + ["SEMLS^8"] * (scale == "reduced")
        assert shared == set(itertools.product(methods, {run.seed for run in of_table1}))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("NoLS", uniform_theta(10)),
        ("ULS-others", uniform_theta(10, include_true=False)),
        ("CLS", Theta.load("digits-cls")),
        ("SEMLS^2", Theta.load("digits-semls").sharpen(2)),
        ("SEMLS@3", Theta.load("digits-semls").top_k(3)),
    ],
)
def test_a_method_is_a_theta(method, expected):
    theta = small_run(method).theta(load_digits())
    np.testing.assert_array_equal(theta, expected)


def test_a_stored_run_reads_back(tmp_path):
    store, runs = RunStore(tmp_path / "store"), [small_run(seed=seed) for seed in range(3)]
    assert runs[0] not in store
    for value, run in zip((0.25, 0.75), runs, strict=False):
        write(store, run, value)
    assert runs[0] in store
    assert runs[2] not in store
    results = store.results(runs)
    assert results["value"].tolist() == [0.25, 0.75]
    assert results["key"].tolist() == [run.key for run in runs[:2]]
    assert results[["dataset", "method", "metric", "scale"]].drop_duplicates().to_numpy().tolist() == [
        ["digits", "SEMLS", "accuracy", "smoke"]
    ]
    histories = store.histories(runs)
    assert histories["epoch"].tolist() == [1, 2, 1, 2]
    assert histories["seed"].tolist() == [0, 0, 1, 1]
    assert store.theta(runs[0]) is None


def test_guesses_and_a_learned_theta_read_back(tmp_path):
    store, run = RunStore(tmp_path), small_run("Online")
    theta = cluster_theta({"a": 0, "b": 0, "c": 1, "d": 1})
    probabilities = np.random.default_rng(0).dirichlet(np.ones(7), 20)
    result = {"scores": {"accuracy": 0.5}, "guesses": guesses(probabilities), "theta": theta}
    where = {"seconds": 1, "hardware": "h", "backend": "b"}
    store.write(run, pd.DataFrame({"epoch": [1]}), {**result, **where})
    learned = store.theta(run)
    np.testing.assert_array_equal(learned, theta)
    assert learned.labels == theta.labels
    stored = store.guesses(run)
    assert set(stored) == set(result["guesses"])
    for name, values in stored.items():
        np.testing.assert_array_equal(values, result["guesses"][name])
    assert store.results([run])["metric"].tolist() == ["accuracy"]


def test_runs_that_a_sweep_no_longer_has_go_when_what_replaces_them_comes(tmp_path):
    store, folder = RunStore(tmp_path / "store"), tmp_path / "results"
    runs = table2("smoke")
    for run in runs:
        write(store, run)
    merge_results(store, "table2", folder)
    csv = folder / "table2.csv"
    table = pd.read_csv(csv, dtype={"classes": str})
    earlier = table.assign(key="0" + table["key"].str[1:], value=0.25)
    paper = earlier.assign(key="1" + earlier["key"].str[1:], scale="paper")
    pd.concat([earlier, paper]).to_csv(csv, index=False)
    merge_results(store, "table2", folder)
    kept = pd.read_csv(csv)
    assert set(kept.loc[kept["scale"] == "smoke", "key"]) == {run.key for run in runs}
    assert set(kept.loc[kept["scale"] == "paper", "key"]) == set(paper["key"])


def test_guesses_are_kept_with_the_results_and_come_together(tmp_path):
    folder, rng = tmp_path / "results", np.random.default_rng(0)
    runs = [run for run in SWEEPS["table1"]("reduced") if run.dataset == "cifar10"][:3]
    made = {run.key: guesses(rng.dirichlet(np.ones(10), size=40)) for run in runs}
    where = {"seconds": 1, "hardware": "h", "backend": "b", "reliability": {"samples": [1]}}
    for i, part in enumerate((runs[:2], runs[2:])):
        store = RunStore(tmp_path / str(i))
        for run in part:
            result = {"scores": {"accuracy": 0.5}, "guesses": made[run.key], **where}
            store.write(run, pd.DataFrame({"epoch": [1]}), result)
        merge_results(store, "table1", folder)
    kept = read_guesses(folder, "reduced")
    assert list(kept) == [run.key for run in runs]
    for key, (classes, p) in kept.items():
        np.testing.assert_array_equal(classes, made[key]["classes"])
        np.testing.assert_allclose(p, made[key]["probabilities"], atol=0.5 / 255 + 1e-3)
    assert read_guesses(folder, "paper") == {}


def test_kept_runs_are_whole_seeds_of_one_machine_and_those_of_this_machine(tmp_path):
    runs = [run for run in SWEEPS["figure4"]("reduced") if run.learning_rate == 0.1]
    here, gpu = describe_environment(), {"hardware": "a GPU", "backend": "jax"}
    # Seed 0 is whole on the GPU, seed 1 begun there, seed 2 begun here and there.
    trained = [*((run, gpu) for run in (*runs[:5], runs[6])), *((run, here) for run in runs[7:8])]
    assert [run.seed for run, _ in trained] == [0, 0, 0, 1, 1, 2, 2]
    rows = [
        {**run.record(), "key": run.key, "hardware": where["hardware"], "backend": where["backend"]}
        for run, where in trained
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "figure4.csv", index=False)
    assert kept_runs(tmp_path, "figure4", runs) == [*runs[:3], runs[7]]
    assert kept_runs(tmp_path, "figure3", runs) is None


@pytest.mark.realdata
def test_the_kept_guesses_have_the_kept_scores(data_root):
    table = pd.read_csv(RESULTS / "table1.csv", dtype={"classes": str}).query("scale == 'reduced'")
    scores = table.pivot(index="key", columns="metric", values="value")
    kept = read_guesses(RESULTS, "reduced")
    assert set(kept) == set(scores.index)
    theta = Theta.load("cifar100-cls")
    groups = np.unique(
        [theta.provenance["clusters"][label] for label in theta.labels], return_inverse=True
    )[1]
    for dataset, runs in table.groupby("dataset"):
        y = np.load(data_root / dataset / "test-labels.npz")["label"]
        for key in runs["key"].unique():
            classes, _ = kept[key]
            assert (classes[:, 0] == y).mean() == pytest.approx(scores.loc[key, "accuracy"], abs=1e-5)
            if dataset == "cifar100":
                inside = groups[classes] == groups[y][:, None]
                assert inside[:, 0].mean() == pytest.approx(scores.loc[key, "cluster_accuracy"], abs=1e-5)
                assert inside[:, 1:].mean() == pytest.approx(scores.loc[key, "cluster_share"], abs=1e-5)


def test_a_run_that_is_stored_stays_as_it_is(tmp_path):
    store, run = RunStore(tmp_path), small_run()
    write(store, run, 0.25)
    write(store, run, 0.75)
    assert store.results([run])["value"].tolist() == [0.25]
    assert [path.name for path in tmp_path.iterdir()] == [run.key]


def test_a_run_that_cannot_be_written_leaves_nothing(tmp_path):
    store, run = RunStore(tmp_path), small_run()
    with pytest.raises(TypeError):
        store.write(run, pd.DataFrame({"epoch": [1]}), {"scores": {"accuracy": object()}})
    assert list(tmp_path.iterdir()) == []
    assert run not in store


@pytest.mark.parametrize("content", [None, '{"run": {"dataset"', ""])
def test_a_result_that_is_cut_short_is_named(tmp_path, content):
    store, run = RunStore(tmp_path), small_run()
    write(store, run)
    file = tmp_path / run.key / "result.json"
    file.unlink()
    if content is not None:
        file.write_text(content)
    with pytest.raises(
        ValueError, match=rf"{run.key}/result\.json is missing or cut short .*trains that run"
    ):
        store.results([run])


def test_a_store_that_cannot_be_written_is_said_before_anything_is_trained(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "store"):
        with pytest.raises(OSError, match=r"The store '.*file.*' cannot be written: .*another --store"):
            run_sweep([small_run()], RunStore(folder))


def test_execute_trains_a_run_and_says_where():
    run, history, result = execute(small_run())
    assert run == small_run()
    assert len(history) == 1
    assert 0 <= result["scores"]["accuracy"] <= 1
    bins = pd.DataFrame(result["reliability"])
    assert bins["samples"].sum() == 300
    assert (bins["samples"] * bins["accuracy"]).sum() / 300 == pytest.approx(result["scores"]["accuracy"])
    assert result["seconds"] > 0
    assert result["hardware"]
    assert result["packages"]["keras"]


@pytest.mark.slow
def test_runs_that_fail_are_named_after_the_others_are_trained(tmp_path):
    store = RunStore(tmp_path)
    good, *bad = small_run("NoLS"), *(small_run(method, train_images=5000) for method in ("NoLS", "ULS"))
    names = ", ".join(f"digits {run.method} seed 0 .key {run.key}." for run in bad)
    with pytest.raises(
        RuntimeError, match=rf"2 runs ended .*ValueError.*1197.*5000\. So ended {names}\."
    ) as error:
        run_sweep([*bad, good], store)
    assert str(error.value).count("ValueError") == 1  # both for the same reason
    assert [run in store for run in (good, *bad)] == [True, False, False]


def test_a_sweep_trains_what_the_store_lacks_and_nothing_else(tmp_path):
    store, runs = RunStore(tmp_path), [small_run("NoLS"), small_run("ULS")]
    write(store, runs[0], 0.125)
    run_sweep(runs, store)
    values = store.results(runs).query("metric == 'accuracy'")["value"]
    assert values.iloc[0] == 0.125
    assert len(values) == 2
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    run_sweep(runs, store)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


@pytest.mark.slow
def test_on_jax_a_worker_keeps_what_it_compiled(tmp_path):
    pytest.importorskip("jax")
    code = """if True:
        import jax  # as a worker has, once its run is unpickled
        from pls_keras.experiments import runner
        from pls_keras.experiments.specs import ImageRun
        runner.train_on_images = lambda run, folder: (jax.jit(lambda x: x + 1)(1), {})
        runner.execute(ImageRun(dataset="digits", method="ULS"))
    """
    environment = {**os.environ, "KERAS_BACKEND": "jax", "KERAS_HOME": str(tmp_path)}
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list((tmp_path / "pls_keras" / "compiled").glob("jit*"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_a_worker_gets_memory_that_it_freed_without_asking_the_system_again():
    code = """if True:
        import resource
        import numpy as np
        from memory import keep_memory
        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            np.ones(2**24, "float32")  # 64 MiB
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        faults()
        often = faults()
        keep_memory()
        faults()
        print(often, faults())
    """
    output = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=pathlib.Path(memory.__file__).parent,  # where it need not import the package first, for seconds
    )
    often, seldom = map(int, output.stdout.split())
    assert seldom < often / 10


@pytest.mark.parametrize("options", [{"engine": "threads"}, {"workers": 0}, {"threads": 0}])
def test_a_sweep_with_a_bad_option_is_an_error(tmp_path, options):
    with pytest.raises(ValueError, match="engine must be one of"):
        run_sweep([small_run()], RunStore(tmp_path), **options)
