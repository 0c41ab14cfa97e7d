"""The commands `run` and `report`."""

import pathlib

SWEEP_NAMES = ("table2", "table3", "goemotions")
RESULTS = pathlib.Path("notebooks/results")


def add_run(commands):
    """Add `run` to the parser's commands."""
    run = commands.add_parser(
        "run",
        help="train all runs of a table; goes on where it was stopped",
        description="Train the runs of a sweep that the store does not hold yet. Stop it at any "
        "moment and start it again: finished runs stay.",
    )
    run.add_argument("sweep", choices=SWEEP_NAMES)
    run.add_argument("--scale", choices=["paper", "smoke"], default="paper", help="(paper)")
    run.add_argument("--workers", type=int, default=1, help="runs at a time (1)")
    run.add_argument("--threads", type=int, default=1, help="threads of each worker (1)")
    run.add_argument("--engine", choices=["joblib", "ray"], default="joblib", help="(joblib)")
    run.add_argument("--store", default="pls-runs", help="folder of finished runs (pls-runs)")
    run.add_argument("--vectors", help="GloVe or word2vec file, or gensim name (glove-wiki-gigaword-300)")
    run.add_argument("--skip", type=pathlib.Path, help="folder of kept results: leave out what it holds")
    run.set_defaults(run=_run)


def _run(options):
    from pls_keras.experiments.runner import run_sweep
    from pls_keras.experiments.store import RunStore

    runs = _sweep(options)
    if options.skip:
        kept = set(_read(options.skip / f"{options.sweep}.csv")["key"])
        runs = [run for run in runs if run.key not in kept]
    run_sweep(
        runs,
        RunStore(options.store),
        workers=options.workers,
        engine=options.engine,
        threads=options.threads,
    )
    print(f"Done. See: python -m pls_keras report {options.sweep} --store {options.store}")


def add_report(commands):
    """Add `report` to the parser's commands."""
    report = commands.add_parser(
        "report",
        help="print a table beside the paper's, with paired tests",
        description="Print a table from results that are kept as CSV. With --store, the finished runs "
        "of a store come in first, and CSV and Markdown are written.",
    )
    report.add_argument("sweep", choices=SWEEP_NAMES)
    report.add_argument("--scale", choices=["paper", "smoke"], default="paper", help="(paper)")
    report.add_argument("--store", help="folder of finished runs to add")
    report.add_argument("--vectors", help="as given to run")
    report.add_argument("--results", type=pathlib.Path, default=RESULTS, help=f"folder ({RESULTS})")
    report.set_defaults(run=_report)


def _report(options):
    import pandas as pd

    from pls_keras.experiments.store import RunStore
    from pls_keras.report import REPORTS, format_report

    csv = options.results / f"{options.sweep}.csv"
    parts = [_read(csv)] if csv.is_file() else []
    if options.store:
        parts.append(RunStore(options.store).results(_sweep(options)))
    results = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if results.empty:
        raise ValueError(
            f"No results: neither {csv} nor a store with finished runs of {options.sweep}. Train them "
            f"with: python -m pls_keras run {options.sweep}, then add --store pls-runs"
        )
    results = results.drop_duplicates(["key", "metric"], keep="last").fillna({"classes": ""})
    if options.store:
        options.results.mkdir(parents=True, exist_ok=True)
        results.to_csv(csv, index=False)
    results = results[results["scale"] == options.scale]
    text = format_report(results, REPORTS[options.sweep])
    print(text)
    if options.store:
        (options.results / f"{options.sweep}.md").write_text(text + "\n", encoding="utf-8")


def _read(csv):
    import pandas as pd

    return pd.read_csv(csv, dtype={"classes": str})


def _sweep(options):
    from pls_keras.experiments.specs import SWEEPS

    fields = {"vectors": options.vectors} if options.vectors else {}
    return SWEEPS[options.sweep](options.scale, **fields)
