"""The command line."""

import json
import os
import pathlib
import platform
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pls_keras import Theta, cluster_theta, cooccurrence_theta, hierarchy_theta, uniform_theta
from pls_keras._start import is_command
from pls_keras.cli import main
from pls_keras.cli.terminal import print_aligned
from pls_keras.experiments.results import CURVE_COLUMNS
from pls_keras.experiments.store import RunStore, describe_environment
from pls_keras.experiments.sweeps import SWEEPS, table2


def printed_by(capsys):
    return narrow(capsys.readouterr().out)


def narrow(text):
    """Text with the columns of its tables as close together as can be."""
    return re.sub("-{3,}", "---", re.sub(" +", " ", text))


@pytest.mark.parametrize("command", ["", "demo", "theta", "theta semantic", "run", "report", "bench"])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert "usage: pls_keras" in printed
    assert command or all(name in printed for name in ("demo", "theta", "run", "report", "bench"))


@pytest.mark.parametrize("command", ["demo", "theta list", "run table2", "report table2", "bench"])
def test_an_unknown_option_shows_the_usage_of_its_command(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--nosuch"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"usage: pls_keras {command.split()[0]} ")
    assert said.endswith(f"pls_keras {command.split()[0]}: error: unrecognized arguments: --nosuch\n")


def test_columns_of_a_table_line_up_on_a_terminal(capsys):
    print_aligned("Words\n\n| a | method |\n| --- | --- |\n| 1.25 | ULS |\n\n- more")
    assert capsys.readouterr().out.splitlines() == [
        "Words",
        "",
        "| a    | method |",
        "| ---- | ------ |",
        "| 1.25 | ULS    |",
        "",
        "- more",
    ]


def test_the_package_runs_as_a_module_and_prints_nothing_but_its_answer():
    answer = subprocess.run(
        [sys.executable, "-m", "pls_keras", "theta", "list"], capture_output=True, text=True, check=True
    )
    assert all(name in answer.stdout for name in Theta.shipped())
    assert answer.stderr == ""


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="not measured elsewhere")
@pytest.mark.parametrize(
    ("started", "given", "taken"),
    [
        (["-m", "pls_keras"], None, "1"),
        (["-m", "pls_keras"], "0", "0"),
        (["-c", "import pls_keras"], None, None),
        (["ipykernel_launcher.py"], None, None),
    ],
)
def test_a_command_takes_the_kernels_of_onednn_unless_told_otherwise(tmp_path, started, given, taken):
    (tmp_path / "keras.py").write_text("import os\nprint(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))\n")
    (tmp_path / "ipykernel_launcher.py").write_text("import pls_keras\n")
    env = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    env |= {"PYTHONPATH": str(tmp_path)} | ({"TF_ENABLE_ONEDNN_OPTS": given} if given else {})
    answer = subprocess.run(
        [sys.executable, *started], capture_output=True, text=True, check=False, env=env, cwd=tmp_path
    )
    assert answer.stdout == f"{taken}\n", answer.stderr


def test_what_a_failing_import_writes_is_shown(tmp_path):
    code = "import os\nos.write(2, b'from C++ at level ' + os.environb[b'TF_CPP_MIN_LOG_LEVEL'])\n"
    (tmp_path / "keras.py").write_text(code + "raise ImportError('torn')\n")
    without_level = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    answer = subprocess.run(
        [sys.executable, "-m", "pls_keras", "theta", "list"],
        capture_output=True,
        text=True,
        check=False,
        env={**without_level, "PYTHONPATH": str(tmp_path)},
    )
    assert answer.returncode == 1
    assert "from C++ at level 3" in answer.stderr
    assert "ImportError: torn" in answer.stderr


@pytest.mark.parametrize(
    ("argv", "orig_argv", "command"),
    [
        (["-m"], ["python", "-X", "dev", "-m", "pls_keras", "demo"], True),
        (["/bin/pls_keras", "demo"], ["python", "/bin/pls_keras", "demo"], True),
        (["/lib/ipykernel_launcher.py", "-f"], ["python", "-m", "ipykernel_launcher", "-f"], True),
        (["-m"], ["python", "-m", "my_package", "pls_keras"], False),
        (["train.py"], ["python", "train.py", "pls_keras"], False),
        ([""], ["python"], False),
        (["-c"], ["python", "-c", "import pls_keras"], False),
    ],
)
def test_a_command_is_told_from_a_program_of_ones_own(argv, orig_argv, command):
    assert is_command(argv, orig_argv) == command


def test_theta_list_names_what_is_shipped(capsys):
    main(["theta", "list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == Theta.shipped()


def test_theta_show_prints_the_nearest_classes_of_a_label(capsys):
    main(["theta", "show", "cifar10-semls", "--label", "cat", "-n", "2"])
    output = capsys.readouterr().out
    nearest = Theta.load("cifar10-semls").neighbours("cat", 2)
    assert all(name in output for name in nearest.index)
    assert "glove" in output


def test_theta_plot_writes_a_picture(tmp_path):
    main(["theta", "plot", "cifar10-cls", "--out", str(tmp_path / "theta.png")])
    assert (tmp_path / "theta.png").read_bytes().startswith(b"\x89PNG")


def test_theta_uniform_takes_labels_from_the_line_or_from_a_file(tmp_path):
    (tmp_path / "labels.txt").write_text("\ufeffcat\ndog\n\ncar\n", "utf-8")  # with an editor's mark
    for labels in ("cat, dog,car", str(tmp_path / "labels.txt")):
        main(["theta", "uniform", "--labels", labels, "--without-true", "--out", str(tmp_path / "t.json")])
        built = Theta.load(tmp_path / "t.json")
        np.testing.assert_array_equal(built, uniform_theta(["cat", "dog", "car"], include_true=False))
        assert built.labels == ("cat", "dog", "car")


def test_theta_cluster_reads_a_table(tmp_path):
    clusters = {"cat": "animal", "car": "vehicle", "dog": "animal", "bus": "vehicle"}
    pd.DataFrame(clusters.items(), columns=["label", "cluster"]).to_csv(tmp_path / "c.csv", index=False)
    main(["theta", "cluster", str(tmp_path / "c.csv"), "--out", str(tmp_path / "t.json")])
    np.testing.assert_array_equal(Theta.load(tmp_path / "t.json"), cluster_theta(clusters))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01", b"label,cluster\na,b\nc,d,e\n"])
@pytest.mark.parametrize("action", ["cluster", "cooccurrence"])
def test_what_is_no_table_is_named(action, content, tmp_path, capsys):
    (tmp_path / "c.csv").write_bytes(content)
    with pytest.raises(SystemExit):
        main(["theta", action, str(tmp_path / "c.csv"), "--out", str(tmp_path / "t.json")])
    assert str(tmp_path / "c.csv") in capsys.readouterr().err


@pytest.mark.parametrize(
    "tree",
    [{"plant": {"tree": ["oak", "fir"], "flower": ["rose"]}}, {"tree": ["oak", "fir"], "flower": ["rose"]}],
)
def test_theta_hierarchy_reads_a_taxonomy(tmp_path, tree):
    (tmp_path / "tree.json").write_text("\ufeff" + json.dumps(tree), "utf-8")
    main(
        [
            "theta",
            "hierarchy",
            str(tmp_path / "tree.json"),
            "--beta",
            "2",
            "--out",
            str(tmp_path / "t.json"),
        ]
    )
    theta = Theta.load(tmp_path / "t.json")
    assert theta == hierarchy_theta(tree, beta=2)
    assert theta.labels == ("oak", "fir", "rose")


def test_theta_semantic_reads_vectors_and_stand_ins(tmp_path):
    (tmp_path / "v.txt").write_text("cat 0 0\ndog 1 0\ncar 0 4\n")
    arguments = ["--labels", "cat,puppy,car", "--vectors", str(tmp_path / "v.txt"), "--power", "2"]
    out = tmp_path / "t.json"
    main(["theta", "semantic", *arguments, "--replace", "puppy=dog", "--out", str(out)])
    built = Theta.load(out)
    assert built.row("cat").to_dict() == pytest.approx({"cat": 0, "puppy": 16 / 17, "car": 1 / 17})
    assert json.loads(out.read_text())["provenance"]["replace"] == {"puppy": "dog"}


def test_theta_cooccurrence_reads_a_table_of_zeros_and_ones(tmp_path):
    table = pd.DataFrame({"joy": [1, 1, 0], "love": [1, 0, 1], "fear": [0, 1, 1]})
    for written in (table, table.astype(bool)):
        written.to_csv(tmp_path / "i.csv", index=False)
        main(["theta", "cooccurrence", str(tmp_path / "i.csv"), "--out", str(tmp_path / "t.json")])
        np.testing.assert_array_equal(
            Theta.load(tmp_path / "t.json"), cooccurrence_theta(table.to_numpy(), table.columns)
        )


@pytest.mark.realdata
def test_theta_ship_builds_the_thetas_of_the_package(tmp_path, data_root):
    vectors = data_root / "glove" / "glove.6B.100d.subset.txt"
    main(["theta", "ship", "--vectors", str(vectors), "--name", "glove.6B.100d", "--out", str(tmp_path)])
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == Theta.shipped()
    for name in Theta.shipped():
        built = Theta.load(tmp_path / f"{name}.json")
        np.testing.assert_allclose(built, Theta.load(name), atol=1e-12)
        assert built.provenance == Theta.load(name).provenance


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["theta", "show", "no-such-theta"], "no theta of this name"),
        (["theta", "show", "cifar10-semls", "--label", "unicorn"], "No label 'unicorn'"),
        (["theta", "semantic", "--labels", "a,b", "--vectors", "none.txt", "--out", "t.json"], "No file"),
        (["theta", "semantic", "--labels", "a,b", "--vectors", ".", "--out", "t.json"], "is a folder"),
        (["theta", "uniform", "--labels", "c.csv", "--out", "t.json"], "one label a line, not a .csv"),
        (["theta", "cluster", "c.csv", "--out", "t.json"], "Received twice: ['cat']"),
        (["theta", "cluster", "d.csv", "--out", "t.json"], "none empty or missing"),
        (["theta", "hierarchy", "list.json", "--out", "t.json"], "tree must be a mapping"),
        (["theta", "hierarchy", "c.csv", "--out", "t.json"], "is not a JSON file"),
        (["demo", "--images", "100000"], "1197 training images"),
        (["demo", "--smoothing-ratio", "1.5"], "smoothing-ratio"),
        (["report", "table2", "--results", "."], "run table2 --scale paper --store pls-runs, then: "),
        (["report", "table2", "--results", "nowhere"], "--results: there is no folder 'nowhere'"),
        (["report", "observations", "--results", "."], "No results of figure3 and figure4 in ."),
        (["report", "readme", "--results", ".", "--store", "."], "readme has no runs of its own"),
        (["report", "figure2", "--results", ".", "--vectors", "v.txt"], "give its --store as well"),
        (["run", "table2", "--vectors", "nope.txt", "--store", "s"], "No file 'nope.txt'"),
        (["report", "table1", "--store", "nosuch"], "--store: there is no folder 'nosuch'"),
        (["run", "table2", "--scale", "lab"], "has no lab scale"),
        (["theta", "cluster", "nope.csv", "--out", "t.json"], "No such file or directory: 'nope.csv'"),
        (["demo", "--out", "c.csv"], "must be a folder; 'c.csv' is a file"),
        (["demo", "--images", "1"], "of 10 classes, and a run needs one of each"),
        (["run", "table1", "--vectors", "glove.txt"], "--vectors is for texts"),
        (["run", "table2", "--scale", "smoke", "--vectors", "v.txt"], "has random word vectors"),
        (["report", "table2", "--scale", "smoke", "--store", "no"], "run table2 --scale smoke --store no"),
        (["report", "readme", "--results", "."], "folder that holds README.md"),
        (["theta", "cooccurrence", "index.csv", "--out", "t.json"], "without a name: ['Unnamed: 0']"),
        (["run", "table1", "--skip", "nowhere"], "nowhere holds no results of table1"),
    ],
)
def test_a_mistake_ends_with_one_line_that_says_what_to_do(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path))
    pathlib.Path("c.csv").write_text("label,cluster\ncat,x\ncat,y\n")
    pathlib.Path("d.csv").write_text("label,cluster\ncat,x\ndog,\n")
    pathlib.Path("index.csv").write_text(",cat,dog\n0,1,1\n1,1,1\n")
    pathlib.Path("list.json").write_text('["cat", "dog"]')
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"pls_keras {arguments[0]}: error: ")
    assert message in last


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--epochs", "0"],
        ["demo", "--dataset", "mnist"],
        ["theta", "semantic", "--labels", "a", "--vectors", "v", "--replace", "ab", "--out", "t.json"],
        ["theta", "semantic", "--labels", "a", "--vectors", "v", "--replace", "a=b,c=d", "--out", "t.json"],
        ["theta", "semantic", "--labels", "a", "--vectors", "v", "--replace", "=b", "--out", "t.json"],
        ["theta", "uniform", "--labels", "a,b", "--out", "u.png"],
        ["theta", "plot", "cifar10-cls", "--out", "theta.json"],
        ["theta", "plot", "cifar10-cls", "--out", "no/theta.png"],
        ["bench", "loss", "--json", "no/loss.json"],
        ["run", "table9"],
        ["run", "table2", "--workers", "two"],
    ],
)
def test_an_argument_that_cannot_be_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "error: argument" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("one_block")
def test_demo_prints_a_table_and_writes_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pls_keras.experiments.runner.fastest_workers", lambda: (1, "no process to start"))
    main(
        ["demo", "--seeds", "2", "--epochs", "1", "--images", "64", "--width", "8", "--out", str(tmp_path)]
    )
    output = capsys.readouterr().out
    rows = {line.split()[0]: line for line in output.splitlines() if "±" in line}
    assert {"NoLS", "ULS", "CLS", "SEMLS"} <= set(rows)
    scores = pd.read_csv(tmp_path / "scores.csv")
    mean = 100 * scores[scores["method"] == "CLS"]["accuracy"].mean()
    assert rows["CLS"].split()[1] == f"{mean:.2f}"
    curves = pd.read_csv(tmp_path / "curves.csv")
    assert len(curves) == 8
    assert (curves["grad_norm"] > 0).all()
    for name in ("theta", "gradient_norm", "generalization_error"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_report_merges_a_store_into_the_kept_results_and_prints_them(tmp_path, capsys):
    store = RunStore(tmp_path / "store")
    runs = table2("smoke")
    for i, run in enumerate(runs):
        scores = {"macro_f1": 0.5 + 0.01 * i, "ece": 0.1, "nll": 1.0, "fraction": 1.0}
        where = {"seconds": 1.0, "hardware": "2 cores", "backend": "tensorflow"}
        if i < len(runs) - 1:
            store.write(run, pd.DataFrame({"epoch": [1]}), {"scores": scores, **where})
    arguments = ["report", "table2", "--scale", "smoke", "--results", str(tmp_path / "results")]
    main([*arguments, "--store", str(tmp_path / "store")])
    assert "| sample | SEMLS | 1 | 52.00 |" in printed_by(capsys)  # the other fold lacks a run
    store.write(runs[-1], pd.DataFrame({"epoch": [1]}), {"scores": scores, **where})
    main([*arguments, "--store", str(tmp_path / "store")])
    printed = printed_by(capsys)
    assert narrow((tmp_path / "results" / "table2.md").read_text()) == printed
    rows = pd.read_csv(tmp_path / "results" / "table2.csv")
    assert len(rows) == 4 * len(runs)
    main(arguments)
    assert printed_by(capsys) == printed
    earlier = rows.assign(key="1" + rows["key"].str[1:], scale="paper")
    pd.concat([rows, earlier]).to_csv(tmp_path / "results" / "table2.csv", index=False)
    main([*arguments, "--store", str(tmp_path / "store")])
    assert printed_by(capsys) == printed
    page = narrow((tmp_path / "results" / "table2.md").read_text())
    assert page.endswith(printed)
    assert re.findall("scale (\\w+)", page) == ["paper", "smoke"]  # though one was asked for
    # A scale of which no fold is whole yet does not keep the others from being shown.
    begun = earlier[(earlier["method"] == "NoLS") == (earlier["fold"] == earlier["fold"].min())]
    pd.concat([rows, begun]).to_csv(tmp_path / "results" / "table2.csv", index=False)
    main([*arguments[:2], *arguments[4:]])
    output = capsys.readouterr()
    assert narrow(output.out) == printed
    assert output.err.startswith("Scale paper: No seed or fold is finished for every method")
    with pytest.raises(SystemExit):
        main([*arguments[:2], *arguments[4:], "--scale", "paper"])
    assert "error: No seed or fold is finished" in capsys.readouterr().err


def test_report_of_the_tuning_names_its_candidates(tmp_path, capsys):
    arguments = ["report", "tuning", "--scale", "smoke", "--results", str(tmp_path / "results")]
    arguments += ["--store", str(tmp_path / "store")]
    folder = tmp_path / "store"
    with pytest.raises(SystemExit):
        main(arguments)
    assert f"pls_keras run tuning --scale smoke --store {folder}" in capsys.readouterr().err
    folder.mkdir()
    with pytest.raises(SystemExit):  # nothing is stored yet
        main(arguments)
    said = capsys.readouterr().err
    assert f"at scale smoke in {tmp_path / 'results'}, and no finished runs of it in {folder}." in said
    then = f"python -m pls_keras report tuning --store {folder} --results {tmp_path / 'results'}"
    assert f"run tuning --scale smoke --store {folder}, then: {then}" in said
    store = RunStore(tmp_path / "store")
    for i, run in enumerate(SWEEPS["tuning"]("smoke")):
        scores = {"val_macro_f1": 0.5 + 0.01 * i, "val_nll": 1.0, "fraction": 1.0}
        where = {"seconds": 1.0, "hardware": "2 cores", "backend": "tensorflow"}
        store.write(run, pd.DataFrame({"epoch": [1]}), {"scores": scores, **where})
    main(arguments)
    printed = printed_by(capsys)
    assert "| sample | chosen | 2 | 50.50" in printed  # the first two runs
    assert "| sample | 64 units | 2 | 58.50" in printed  # the ninth and tenth


@pytest.mark.slow
def test_report_draws_figures_and_checks_observations_from_kept_curves(tmp_path, capsys, monkeypatch):
    store = RunStore(tmp_path / "store")
    rng = np.random.default_rng(0)
    for sweep in ("figure3", "figure4"):
        for run in SWEEPS[sweep]("lab"):
            curves = pd.DataFrame({"epoch": np.arange(1, 9), "seconds": 1.0})
            for column in CURVE_COLUMNS[CURVE_COLUMNS.index("grad_norm") :]:
                curves[column] = rng.uniform(0.1, 1.0, 8)
            where = {"seconds": 8.0, "hardware": "2 cores", "backend": "tensorflow"}
            store.write(run, curves, {"scores": {"accuracy": 0.5}, **where})
    where = ["--store", str(tmp_path / "store"), "--results", str(tmp_path)]
    for sweep in ("figure3", "figure4", "figure5"):
        main(["report", sweep, *where])
        printed = printed_by(capsys)
        assert "| learning rate 0.0001 | SEMLS | 3 |" in printed
        assert (tmp_path / f"{sweep}_lab.png").read_bytes().startswith(b"\x89PNG")
        assert len(pd.read_csv(tmp_path / f"{sweep}.csv")) == 36 * 8
    assert (tmp_path / "figure5_lab_parts.png").is_file()
    main(["report", "observations", "--results", str(tmp_path)])
    assert capsys.readouterr().out.count("\n| 6.3.") == 15
    (tmp_path / "figure4.csv").unlink()
    with pytest.raises(SystemExit):
        main(["report", "observations", "--results", str(tmp_path), "--scale", "lab"])
    error = capsys.readouterr().err
    assert "No results of figure4 at scale lab" in error
    assert "run figure4 --scale lab --store pls-runs, then: python -m pls_keras report obs" in error
    assert f"--results {tmp_path}" in error
    assert "run figure3" not in error
    main(["report", "observations", *where])
    assert capsys.readouterr().out.count("\n| 6.3.") == 15


def test_a_demo_that_cannot_be_written_trains_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("pls_keras.cli.demo.train_runs", lambda runs: pytest.fail("trained"))
    with pytest.raises(SystemExit):
        main(["demo", "--out", str(tmp_path / "file" / "out")])
    assert "Not a directory" in capsys.readouterr().err


def test_a_command_that_is_stopped_says_so_in_a_line(monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pls_keras.cli.demo.run_demo", stop)
    with pytest.raises(SystemExit) as stopped:
        main(["demo"])
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "\npls_keras demo: stopped\n"


def test_report_figure2_draws_the_theta_of_cifar10(tmp_path, capsys):
    main(["report", "figure2", "--results", str(tmp_path)])
    assert "airplane" in capsys.readouterr().out
    assert (tmp_path / "figure2.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.usefixtures("one_block")
def test_table1_smoke_runs_and_reports_with_reliability(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pls_keras.cli.run.fastest_workers", lambda: (1, "no process to start"))
    main(["run", "table1", "--scale", "smoke", "--store", str(tmp_path / "store")])
    main(["report", "table1", "--store", str(tmp_path / "store"), "--results", str(tmp_path)])
    assert "| digits, ResNet-8 | SEMLS | 1 |" in printed_by(capsys)
    bins = pd.read_csv(tmp_path / "table1_reliability.csv")
    assert bins.groupby("method")["samples"].sum().tolist() == [300] * 4
    assert (tmp_path / "table1_smoke_reliability.png").is_file()


def test_sharpened_takes_the_runs_of_table1_from_what_is_kept(tmp_path, capsys, monkeypatch):
    store = RunStore(tmp_path / "store")
    bins = [{"samples": 10, "confidence": 0.5, "accuracy": 0.5}]
    where = {"seconds": 1.0, **describe_environment()}

    def write(runs, accuracy):
        for run in runs:
            result = {"scores": {"accuracy": accuracy, "ece": 0.1, "nll": 1.0}, "reliability": bins}
            store.write(run, pd.DataFrame({"epoch": [1]}), {**result, **where})

    write(SWEEPS["table1"]("smoke"), 0.25)
    kept = ["--results", str(tmp_path)]
    main(["report", "table1", "--store", str(store.folder), *kept])
    store = RunStore(tmp_path / "another")
    trained = []
    monkeypatch.setattr("pls_keras.cli.run.run_sweep", lambda runs, *_, **__: trained.extend(runs))
    main(["run", "sharpened", "--scale", "smoke", "--skip", str(tmp_path), "--store", str(store.folder)])
    assert [run.method for run in trained] == ["ULS-others", "SEMLS^4", "SEMLS^8", "SEMLS@5"]
    write(trained, 0.5)
    capsys.readouterr()
    main(["report", "sharpened", "--store", str(store.folder), *kept])
    printed = printed_by(capsys)
    rows = [row for row in printed.splitlines() if row.startswith("| digits")]
    assert [row.split(" | ")[1:4] for row in rows[:2]] == [["NoLS", "1", "25.00"], ["ULS", "1", "25.00"]]
    assert len(rows) == 8
    assert pd.read_csv(tmp_path / "sharpened_reliability.csv")["method"].nunique() == 8
