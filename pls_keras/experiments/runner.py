"""Runs a sweep: what is not yet in the store, on one process, several, or a Ray cluster."""

import functools
import logging
import os
import threading
import time

import joblib
import keras
import pandas as pd
from joblib.externals.loky.process_executor import TerminatedWorkerError

from pls_keras._extras import require
from pls_keras._start import QUIET
from pls_keras.data.cache import keras_home
from pls_keras.experiments.hardware import fastest_workers
from pls_keras.experiments.image_training import train_on_images
from pls_keras.experiments.memory import keep_memory
from pls_keras.experiments.progress import progress
from pls_keras.experiments.specs import ImageRun
from pls_keras.experiments.store import describe_environment
from pls_keras.experiments.text_training import train_on_texts

ENGINES = ("joblib", "ray")
UNFINISHED = ".unfinished"  # in the store: a folder for the checkpoints of each run that is not done


def run_sweep(runs, store, *, workers=1, engine="joblib", threads=1):
    """Train all runs that the store lacks, and store each when it ends.

    The workers train and this process stores, so that the store may lie where only this process can
    write. Stop it at any moment: what is stored stays, and the next call goes on from there,
    a run on images from its last whole epoch.

    Args:
        runs: list of `Run`.
        store: `RunStore`.
        workers: runs at a time, each in a process of its own.
        engine: "joblib" for processes of this machine, or "ray" for a Ray cluster: the one that
            `RAY_ADDRESS` names, else a local one. Ray is an extra, "ray".
        threads: threads a worker. Sums of floats depend on it, and so do scores, slightly; more
            workers do not change them.

    Raises:
        ValueError: if `engine` or a number is out of range.
        ImportError: if Ray is asked for and not installed.
        OSError: if the store cannot be written, or another sweep is at work in it.
        RuntimeError: after all others are trained and stored, if runs have failed; it names them. Also if
            a worker was killed.
    """
    if engine not in ENGINES or workers < 1 or threads < 1:
        raise ValueError(
            f"engine must be one of {ENGINES}, and workers and threads at least 1. Received: "
            f"engine={engine!r}, workers={workers}, threads={threads}"
        )
    store.check()
    with store.lock():
        failed = _train_and_store(runs, store, workers, engine, threads)
    _raise_if_failed(failed)


def _train_and_store(runs, store, workers, engine, threads):
    """Train and store what the store lacks; return the errors of those that have failed, by run."""
    todo = [run for run in runs if run not in store]
    finish = {"joblib": _finish_with_joblib, "ray": _finish_with_ray}[engine]
    unfinished = str(store.folder.absolute() / UNFINISHED)
    failed = {}
    with progress(total=len(runs), initial=len(runs) - len(todo), unit="run", smoothing=0) as bar:
        for run, history, result in finish(todo, workers, threads, unfinished):
            if history is None:
                store.check()  # on a full disk the others would fail as well
                failed[run] = result["error"]
                continue
            store.write(run, history, result)
            bar.set_postfix_str(f"{run.dataset} {run.method}")
            bar.update()
            if bar.disable:  # in a file, a line for each
                done = sum(run in store for run in runs)
                print(f"{done} of {len(runs)}: {run.dataset} {run.method}", flush=True)
    return failed


def train_runs(runs, workers=None):
    """Train a few runs, each by one thread of a process of its own, with a progress bar. Stores nothing.

    Args:
        runs: list of `ImageRun` or `TextRun`.
        workers: runs at a time; None for as many as is fastest (`fastest_workers`).

    Returns:
        Pair of `DataFrame`: the curves, a row a run and epoch, and the scores, a row a run, both in the
        order of the runs. Both have columns `method`, `learning_rate` and `seed`.

    Raises:
        RuntimeError: if runs have failed or diverged; it names them.
    """
    workers = workers or fastest_workers()[0]
    finished, failed = {}, {}
    with progress(total=len(runs), unit="run", smoothing=0) as bar:
        for run, curves, result in _finish_with_joblib(runs, min(workers, len(runs)), 1, None):
            if curves is None or "diverged" in result["scores"]:
                failed[run] = "it diverged" if curves is not None else result["error"]
                continue
            finished[run] = curves, result["scores"]
            bar.set_postfix_str(f"{run.method}, rate {run.learning_rate:g}, seed {run.seed}")
            bar.update()
    _raise_if_failed(failed)
    named = [{"method": run.method, "learning_rate": run.learning_rate, "seed": run.seed} for run in runs]
    curves = [finished[run][0].assign(**name) for run, name in zip(runs, named, strict=True)]
    scores = [name | finished[run][1] for run, name in zip(runs, named, strict=True)]
    return pd.concat(curves, ignore_index=True), pd.DataFrame(scores)


def _raise_if_failed(failed):
    """Name the runs that ended without a result; all others are stored."""
    if failed:
        names = {}
        for run, error in failed.items():
            names.setdefault(error, []).append(
                f"{run.dataset} {run.method} seed {run.seed} (key {run.key})"
            )
        lines = [f"{error.rstrip('.')}. So ended {', '.join(runs)}." for error, runs in names.items()]
        raise RuntimeError(f"{len(failed)} runs ended without a result. " + " ".join(lines))


def _finish_with_joblib(runs, workers, threads, unfinished):
    """Yield the results of runs as they end, from processes of this machine."""
    os.environ[QUIET] = "1"  # each imports TensorFlow, which has been heard once
    parallel = joblib.Parallel(
        n_jobs=workers,
        backend="loky",
        return_as="generator_unordered",
        batch_size=1,
        initializer=_end_with(os.getpid()),
    )
    try:
        yield from parallel(joblib.delayed(execute)(run, threads, unfinished) for run in runs)
    except TerminatedWorkerError as error:
        raise RuntimeError(
            "A worker was killed, perhaps for want of memory: take fewer workers. Finished runs are safe; "
            "the same sweep, started again, goes on from there."
        ) from error


@functools.cache
def _end_with(parent):
    """What a worker does first: end soon after its parent, even if that is killed outright.

    The same function for each sweep of a process, so that joblib keeps the workers. A closure goes
    to the worker by value: it need not import this package first, for seconds.
    """

    def end_with_parent():
        def watch():
            while os.getppid() == parent:
                time.sleep(1)
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()

    return end_with_parent


def _finish_with_ray(runs, workers, threads, unfinished):
    """The same from a Ray cluster, or from a local one of as many processors as needed."""
    require("ray", "ray")
    import ray

    if not ray.is_initialized():
        cluster = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers * threads}
        ray.init(include_dashboard=None if "RAY_ADDRESS" in os.environ else False, **cluster)
    task = ray.remote(num_cpus=threads)(execute)
    pending = [task.remote(run, threads, unfinished) for run in runs]
    while pending:
        finished, pending = ray.wait(pending)
        yield ray.get(finished[0])


def execute(run, threads=1, unfinished=None):
    """Train one run in this process.

    Args:
        run: a `Run`.
        threads: threads to use, if the backend has not started yet.
        unfinished: folder for checkpoints of runs on images, which go on from there; None for none.

    Returns:
        The run, its curves as a `DataFrame`, and its result: `scores`, for images `reliability`,
        `seconds` and the environment. Of a run that fails None, and as the result its `error`.
    """
    _share_machine(threads)
    if keras.backend.backend() == "jax":
        _keep_compiled_programs()
    if isinstance(run, ImageRun):
        folder = unfinished and os.path.join(unfinished, run.key)
        train = functools.partial(train_on_images, folder=folder)
    else:
        train = train_on_texts

    # TensorFlow takes the first prediction of each further model for a retracing of the last one's.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    start = time.perf_counter()
    try:
        history, result = train(run)
    except Exception as error:  # of any kind: other runs go on
        message = str(error).strip().splitlines() or [""]
        return run, None, {"error": f"{type(error).__name__}: {message[0]}"}
    seconds = round(time.perf_counter() - start, 1)
    keras.utils.clear_session()
    return run, history, {**result, "seconds": seconds, **describe_environment()}


def _share_machine(threads):
    """Before a backend starts: workers that share cores or an accelerator must not fight over them."""
    # Each takes what memory of the accelerator it needs, not all.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(threads)
    eigen = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    if eigen not in os.environ.get("XLA_FLAGS", ""):
        flags = f"{os.environ.get('XLA_FLAGS', '')} {eigen} intra_op_parallelism_threads={threads}"
        os.environ["XLA_FLAGS"] = flags.strip()
    keep_memory()


def _keep_compiled_programs():
    """Runs of one network differ in numbers alone: JAX need not compile it for each of them.

    Set by JAX's configuration: a worker that has unpickled its run has imported JAX, which reads the
    environment only then. `JAX_COMPILATION_CACHE_DIR` names another folder.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(keras_home() / "pls_keras" / "compiled"))
