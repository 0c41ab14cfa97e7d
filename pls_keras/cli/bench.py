"""`pls_keras bench`: measure what takes how long, as ratios of times in one process."""

import json
import logging

from pls_keras.cli.arguments import file_type, positive
from pls_keras.experiments.benchmarks.fits import bench_fits
from pls_keras.experiments.benchmarks.images import bench_callbacks, bench_training
from pls_keras.experiments.benchmarks.loss import bench_loss
from pls_keras.experiments.benchmarks.pytorch import PyTorchTwin
from pls_keras.experiments.benchmarks.texts import bench_texts
from pls_keras.experiments.hardware import fastest_way
from pls_keras.experiments.store import describe_environment


def add_arguments(parser):
    """Add the options of `bench`."""
    parser.description = (
        "Measure the loss against Keras's own, what callbacks add to an epoch, training on images "
        "against a plain PyTorch loop, what fits take after their last epoch, and a sample of Table 2."
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=["all", *BENCHES],
        default="all",
        help="all is loss and callbacks; training: ResNets; fits: their end; texts: part of Table 2",
    )
    parser.add_argument("--rounds", type=positive, help="measurements of each (loss 45, callbacks 9)")
    parser.add_argument("--model", choices=["ResNet18", "ResNet34"], default="ResNet18", help="(ResNet18)")
    parser.add_argument("--width", type=positive, default=16, help="of training: channels (16)")
    parser.add_argument("--images", type=positive, default=1024, help="of training: an epoch (1024)")
    parser.add_argument(
        "--precision",
        choices=["float32", "mixed_bfloat16"],
        nargs="+",
        default=["float32", "mixed_bfloat16"],
        help="of training: dtype policies (both)",
    )
    parser.add_argument("--no-xla", action="store_true", help="of training: without XLA alone")
    parser.add_argument("--vectors", help="of texts: file or gensim name (glove-wiki-gigaword-300)")
    parser.add_argument(
        "--json",
        type=file_type(".json"),
        help="also write the tables, and what they were measured on, to this file",
    )
    parser.set_defaults(run=_run)


def _run(options):
    # It takes the steps of several losses for one that is traced again and again.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    names = ["loss", "callbacks"] if options.what == "all" else [options.what]
    tables = {name: BENCHES[name](options) for name in names}
    if options.json:
        measured = {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**describe_environment(), "tables": measured}, file, indent=1)
        print(f"Wrote {options.json}")


def _loss(options):
    print("\nLoss and gradient: time over that of Keras's sparse cross-entropy")
    return _print(bench_loss(**_rounds(options)), 3)


def _callbacks(options):
    print("\nAn epoch of ResNet-18 at width 16: seconds, and with a callback over without")
    table = _print(bench_callbacks(**_rounds(options)), 3)
    print(f"median {table.median().round(3).to_dict()}")
    return table


def _training(options):
    print(f"\n{options.model} at width {options.width}, batches of 128: images a second")
    table = bench_training(
        options.model,
        width=options.width,
        images=options.images,
        precisions=options.precision,
        compilations=[False] if options.no_xla else [True, False],
        **_rounds(options),
    )
    _print(table, 2)
    print(f"Chosen here: {fastest_way().reason}.")
    if not PyTorchTwin.is_installed():
        print("PyTorch is not installed, so that there is nothing to compare with.")
    return table


def _fits(options):
    print("\nSeconds from the end of the last epoch to the return of fit")
    return _print(bench_fits(**({"fits": options.rounds} if options.rounds else {})), 2)


def _texts(options):
    print("\nTwo runs of Table 2 of one epoch each: as a sweep, and the straightforward way")
    table = _print(bench_texts(options.vectors or "glove-wiki-gigaword-300"), 2)
    whole = table["straightforward_seconds"].sum() / table["seconds"].sum()
    print(f"ratio of the whole {whole:.2f}")
    return table


BENCHES = {
    "loss": _loss,
    "callbacks": _callbacks,
    "training": _training,
    "fits": _fits,
    "texts": _texts,
}


def _rounds(options):
    return {"rounds": options.rounds} if options.rounds else {}


def _print(table, decimals):
    print(table.round(decimals).to_string(index=False))
    return table
