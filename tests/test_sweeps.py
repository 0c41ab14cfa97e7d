"""Sweeps as processes: workers, engines, kills, full disks, two at once."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest

from pls_keras.experiments.runner import UNFINISHED, run_sweep
from pls_keras.experiments.store import RunStore
from pls_keras.experiments.sweeps import sweep_runs

pytestmark = pytest.mark.slow
needs_sigkill = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")


SWEEP = """
import sys
from pls_keras.experiments.runner import run_sweep
from pls_keras.experiments.store import RunStore
from pls_keras.experiments.sweeps import sweep_runs
name, number, folder, engine, workers = sys.argv[1:]
runs = sweep_runs(name, "smoke", None)[: int(number)]
run_sweep(runs, RunStore(folder), engine=engine, workers=int(workers))
"""


def sweep(name, runs, store, engine="joblib", workers=2):
    """The command that trains the first runs of a sweep at smoke scale."""
    return [sys.executable, "-c", SWEEP, name, str(runs), store, engine, str(workers)]


def scores_of(name, folder):
    results = RunStore(folder).results(sweep_runs(name, "smoke", None))
    scores = results[~results["metric"].isin(["seconds", "images_per_second"])]
    return scores.set_index(["key", "metric"])["value"]


@needs_sigkill
@pytest.mark.parametrize("name", ["table2", "figure3"])
def test_a_sweep_killed_at_random_moments_ends_with_the_scores_of_one_worker(tmp_path, release, name):
    """The parent or a worker gets SIGKILL: what is stored stays as it is, and no worker lives on.

    Ray's own agents look once a minute whether their node is gone; they are left to that.
    """
    if name == "figure3" and not release:
        pytest.skip("only with --release")
    with_ray = name == "table2" and importlib.util.find_spec("ray")
    random = np.random.default_rng()
    runs, kills_an_engine, longest = (1000, 34, 20.0) if release else (2, 1, 10.0)
    run_sweep(sweep_runs(name, "smoke", None)[:runs], RunStore(tmp_path / "undisturbed"), workers=1)
    undisturbed = scores_of(name, tmp_path / "undisturbed")
    for engine in ["joblib", "ray"] if with_ray else ["joblib"]:
        folder, kills = tmp_path / engine, kills_an_engine
        while kills:
            process = subprocess.Popen(sweep(name, runs, folder, engine))
            done = kill(process, folder, random.uniform(0, longest), random)
            kills -= done
            if not done:  # it ended first
                assert process.returncode == 0
                pd.testing.assert_series_equal(scores_of(name, folder), undisturbed)
                shutil.rmtree(folder)
        subprocess.run(sweep(name, runs, folder, engine), check=True)
        pd.testing.assert_series_equal(scores_of(name, folder), undisturbed)
        assert not [*folder.glob(f"{UNFINISHED}/*"), *folder.glob(".draft-*/result.json")]
        print(f"{name}, {engine}: {kills_an_engine} kills")


def kill(process, folder, seconds, random):
    """Kill a sweep or one of its workers after so long; return whether that came before its end."""
    before = {path: path.read_bytes() for path in folder.glob("*/result.json")}
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        pass
    workers = [child for child in psutil.Process(process.pid).children(recursive=True) if is_worker(child)]
    if workers and random.integers(2):
        workers[random.integers(len(workers))].kill()
    else:
        process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
    assert before.items() <= {path: path.read_bytes() for path in folder.glob("*/result.json")}.items()
    return True


def is_worker(process):
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "popen_loky_posix" in command or command.startswith(("ray::execute", "ray::IDLE"))


@needs_sigkill
def test_workers_of_a_sweep_killed_while_they_start_end_as_well(tmp_path):
    process = subprocess.Popen(sweep("table2", 3, tmp_path))
    parent = psutil.Process(process.pid)
    while len(workers := [child for child in parent.children() if is_worker(child)]) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive


def test_a_second_sweep_on_a_store_says_that_there_is_one(tmp_path):
    store = RunStore(tmp_path)
    with (
        store.lock(),
        pytest.raises(OSError, match="Another sweep is at work in the store "),
    ):
        run_sweep([], RunStore(tmp_path))
    run_sweep([], store)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a small file system")
def test_on_a_full_disk_a_sweep_ends_with_one_sentence(tmp_path):
    """The disk is filled as soon as the sweep has found room on it."""
    code = """if True:
        import contextlib
        import sys
        from pls_keras.experiments.runner import run_sweep
        from pls_keras.experiments.store import RunStore
        from pls_keras.experiments.sweeps import sweep_runs

        def check_and_fill():
            check()
            with contextlib.suppress(OSError), open(sys.argv[1] + "/large", "wb", buffering=0) as file:
                while True:
                    file.write(bytes(2**12))

        store = RunStore(sys.argv[1])
        check, store.check = store.check, check_and_fill
        run_sweep(sweep_runs("figure3", "smoke", None), store)
    """
    small = f'mount -t tmpfs -o size=2m small {tmp_path} && exec "$@"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", small, "-"]
    if subprocess.run([*inside, "true"]).returncode:
        pytest.skip("no small file system can be mounted")
    ended = subprocess.run([*inside, sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert ended.stderr.strip().splitlines()[-1].startswith(f"OSError: The store '{tmp_path}' cannot be wr")
    assert "No space left on device. Finished runs are safe." in ended.stderr
