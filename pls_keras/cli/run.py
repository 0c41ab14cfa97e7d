"""`pls_keras run`: train the runs of a table or a figure."""

from pls_keras.cli.arguments import folder_path, positive
from pls_keras.experiments.hardware import fastest_way, fastest_workers
from pls_keras.experiments.results import kept_runs
from pls_keras.experiments.runner import run_sweep
from pls_keras.experiments.store import RunStore
from pls_keras.experiments.sweeps import SCALES, SWEEPS, sweep_runs
from pls_keras.thetas.vector_files import fetch_vectors


def add_arguments(parser):
    """Add the options of `run`."""
    parser.description = (
        "Train the runs of a sweep that the store does not hold yet. Stop it at any moment and start it "
        "again: finished runs stay, and runs on images go on from their last epoch."
    )
    parser.add_argument("sweep", choices=[*SWEEPS])
    parser.add_argument(
        "--scale",
        choices=[*SCALES],
        default="paper",
        help="paper, reduced or lab for images on little hardware, or smoke for a try (paper)",
    )
    parser.add_argument("--workers", type=positive, help="runs at a time (as many as is fastest)")
    parser.add_argument("--threads", type=positive, default=1, help="threads of each worker (1)")
    parser.add_argument("--engine", choices=["joblib", "ray"], default="joblib", help="(joblib)")
    parser.add_argument(
        "--store", type=folder_path, default="pls-runs", help="folder of finished runs (pls-runs)"
    )
    parser.add_argument(
        "--vectors", help="for texts: GloVe or word2vec file, or gensim name (glove-wiki-gigaword-300)"
    )
    parser.add_argument(
        "--skip",
        type=folder_path,
        help="folder of kept results: leave out the seeds that it holds whole from one kind of machine, "
        "and the runs that it holds from this kind",
    )
    parser.set_defaults(run=_run)


def _run(options):
    if options.vectors and options.scale == "smoke":
        raise ValueError("--vectors: a smoke run has random word vectors. Leave it out, or the scale.")
    runs = sweep_runs(options.sweep, options.scale, options.vectors)
    if options.skip:
        kept = kept_runs(options.skip, options.sweep, runs)
        if kept is None:
            raise ValueError(f"--skip: {options.skip} holds no results of {options.sweep}.")
        runs = [run for run in runs if run not in kept]
    for vectors in {getattr(run, "vectors", None) for run in runs} - {None}:
        fetch_vectors(vectors)  # once, and an error before anything is trained
    workers, reason = fastest_workers() if options.workers is None else (options.workers, "as asked for")
    print(f"{workers} at a time: {reason}.")
    if any(getattr(run, "precision", None) == "auto" for run in runs):
        print(f"Chosen for images: {fastest_way().reason}.")
    run_sweep(
        runs,
        RunStore(options.store),
        workers=workers,
        engine=options.engine,
        threads=options.threads,
    )
    # What is a try does not belong among the kept results.
    aside = f" --results {options.store}-results" if options.scale == "smoke" else ""
    print(f"Done. See: python -m pls_keras report {options.sweep} --store {options.store}{aside}")
