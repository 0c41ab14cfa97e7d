"""The command line: `python -m pls_keras …`."""

import argparse
import math
import os
import pathlib
import sys

from pls_keras.experiments.commands import add_report, add_run


def main(arguments=None):
    """Run a command; `python -m pls_keras --help` lists them."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, ImportError, KeyError) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        print(f"pls_keras {options.command}: error: {message}", file=sys.stderr)
        sys.exit(2)


def _parser():
    parser = argparse.ArgumentParser(
        prog="pls_keras", description="Preferential label smoothing for Keras."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_theta(commands)
    _add_bench(commands)
    add_run(commands)
    add_report(commands)
    return parser


def _add_demo(commands):
    demo = commands.add_parser(
        "demo",
        help="compare NoLS, ULS, CLS and SEMLS on real images: a table and figures",
        description="Train a narrow ResNet with each method over several seeds, print a table, and "
        "write theta, gradient-norm and generalization-error figures. Digits need no download; "
        "CIFAR comes through TensorFlow Datasets (TFDS_DATA_DIR).",
    )
    demo.add_argument("--dataset", choices=["digits", "cifar10", "cifar100"], default="digits")
    demo.add_argument("--seeds", type=_positive, help="number of seeds (digits 3, CIFAR 1)")
    demo.add_argument("--epochs", type=_positive, help="epochs a run (digits 15, CIFAR 8)")
    demo.add_argument("--images", type=_positive, help="training images (digits 300, CIFAR 10,000)")
    demo.add_argument("--width", type=_positive, help="channels of the first stage (16)")
    demo.add_argument("--smoothing-ratio", type=_ratio, help="ε, the mass taken off, in [0, 1) (0.1)")
    demo.add_argument("--learning-rate", type=_positive_number, help="constant learning rate (0.1)")
    demo.add_argument("--out", default="pls-demo", help="folder to write to (pls-demo)")
    demo.set_defaults(run=_run_demo)


def _run_demo(options):
    import matplotlib

    matplotlib.use("Agg")
    from pls_keras.experiments.demo import run_demo

    run_demo(
        options.dataset,
        seeds=options.seeds,
        folder=options.out,
        epochs=options.epochs,
        train_images=options.images,
        width=options.width,
        smoothing_ratio=options.smoothing_ratio,
        learning_rate=options.learning_rate,
    )


def _add_theta(commands):
    theta = commands.add_parser(
        "theta",
        help="build, show, plot and save thetas",
        description="Thetas from the shell. A theta is a file that was saved, or the name of one "
        "that comes with the package.",
    )
    actions = theta.add_subparsers(dest="action", required=True, metavar="ACTION")

    listed = actions.add_parser("list", help="name the thetas that come with the package")
    listed.set_defaults(run=_list_thetas)

    show = actions.add_parser("show", help="print a theta's provenance and nearest classes")
    show.add_argument("theta", help="file or name, such as cifar100-semls")
    show.add_argument("--label", help="show this class alone")
    show.add_argument("-n", type=_positive, default=3, help="classes to show for each (3)")
    show.set_defaults(run=_show_theta)

    plot = actions.add_parser("plot", help="draw a theta as a heat map")
    plot.add_argument("theta", help="file or name, such as cifar100-semls")
    plot.add_argument("--out", required=True, type=_picture, help="picture to write: .png, .pdf or .svg")
    plot.set_defaults(run=_plot_theta)

    labels = argparse.ArgumentParser(add_help=False)
    labels.add_argument(
        "--labels",
        required=True,
        help="the classes in the order of the model's outputs: cat,dog,car or a file with one a line",
    )
    out = argparse.ArgumentParser(add_help=False)
    out.add_argument("--out", required=True, help="file to write: .json")

    uniform = actions.add_parser("uniform", parents=[labels, out], help="build ULS: equal shares")
    uniform.add_argument("--without-true", action="store_true", help="no share for the true class")
    uniform.set_defaults(run=_build_uniform)

    cluster = actions.add_parser("cluster", parents=[out], help="build CLS: shares within clusters")
    cluster.add_argument("clusters", help="CSV file with columns label,cluster")
    cluster.add_argument("--include-true", action="store_true", help="a share for the true class")
    cluster.set_defaults(run=_build_cluster)

    semantic = actions.add_parser(
        "semantic", parents=[labels, out], help="build SEMLS: shares by word vectors"
    )
    semantic.add_argument("--vectors", required=True, help="GloVe or word2vec file, or gensim name")
    semantic.add_argument(
        "--power", type=_positive_number, default=1.0, help="of the distance (1, the paper's)"
    )
    semantic.add_argument("--top-k", type=_positive, help="keep only the nearest classes")
    semantic.add_argument("--replace", type=_pair, action="append", default=[], metavar="WORD=STAND-IN")
    semantic.set_defaults(run=_build_semantic)

    together = actions.add_parser(
        "cooccurrence", parents=[out], help="build from labels that are given together"
    )
    together.add_argument("indicator", help="CSV file of 0 and 1, a column a label, a row a sample")
    together.add_argument("--pseudocount", type=float, default=0.0, help="added to each pair (0)")
    together.set_defaults(run=_build_cooccurrence)

    ship = actions.add_parser("ship", help="build the thetas that come with the package anew")
    ship.add_argument("--vectors", required=True, help="GloVe or word2vec file, or gensim name")
    ship.add_argument("--name", help="name of the vectors for the provenance")
    ship.add_argument("--out", help="folder to write to (the package's own)")
    ship.set_defaults(run=_ship_thetas)


def _list_thetas(options):
    from pls_keras.theta import Theta

    for name in Theta.shipped():
        print(f"{name:18} {Theta.load(name)!r}")


def _show_theta(options):
    from pls_keras.theta import Theta

    theta = Theta.load(options.theta)
    print(repr(theta))
    for name, value in theta.provenance.items():
        text = str(value)
        print(f"  {name}: {text if len(text) < 200 else text[:200] + ' …'}")
    effective = theta.effective_classes()
    for label in [options.label] if options.label else theta.labels:
        row = theta.neighbours(label, options.n)
        nearest = ", ".join(f"{other} {share:.3f}" for other, share in row.items())
        print(f"{label:>20} ({effective[theta.labels.index(label)]:5.1f} effective): {nearest}")


def _plot_theta(options):
    import matplotlib

    matplotlib.use("Agg")
    from pls_keras.theta import Theta

    Theta.load(options.theta).plot().figure.savefig(options.out, bbox_inches="tight")
    print(f"Wrote {options.out}")


def _build_uniform(options):
    from pls_keras.builders import uniform_theta

    _save(uniform_theta(_labels(options.labels), not options.without_true), options.out)


def _build_cluster(options):
    import pandas as pd

    from pls_keras.builders import cluster_theta

    table = pd.read_csv(options.clusters, dtype=str, keep_default_na=False)
    if not {"label", "cluster"} <= set(table.columns):
        raise ValueError(
            f"{options.clusters} needs columns label and cluster. Received: {list(table.columns)}"
        )
    wrong = table[table["label"].duplicated() | (table[["label", "cluster"]] == "").any(axis=1)]
    if len(wrong):
        raise ValueError(
            f"{options.clusters} must name each label once, and its cluster. Received: "
            f"{wrong[['label', 'cluster']].to_numpy().tolist()[:5]}"
        )
    clusters = dict(zip(table["label"], table["cluster"], strict=True))
    _save(cluster_theta(clusters, options.include_true), options.out)


def _build_semantic(options):
    from pls_keras.builders import semantic_theta
    from pls_keras.embeddings import load_vectors

    theta = semantic_theta(
        _labels(options.labels),
        load_vectors(options.vectors),
        power=options.power,
        top_k=options.top_k,
        replace=dict(options.replace),
    )
    _save(theta, options.out)


def _build_cooccurrence(options):
    import pandas as pd

    from pls_keras.builders import cooccurrence_theta

    table = pd.read_csv(options.indicator)
    text = list(table.select_dtypes(exclude="number").columns)
    if text:
        raise ValueError(f"{options.indicator} must hold 0 and 1. Received text in the columns {text}")
    theta = cooccurrence_theta(table.to_numpy(), table.columns, pseudocount=options.pseudocount)
    _save(theta, options.out)


def _ship_thetas(options):
    from pls_keras.embeddings import load_vectors
    from pls_keras.shipped import build_shipped_thetas
    from pls_keras.theta import SHIPPED

    vectors = load_vectors(options.vectors)
    vectors.name = options.name or vectors.name
    folder = pathlib.Path(options.out or SHIPPED)
    for name, theta in build_shipped_thetas(vectors).items():
        theta.save(folder / f"{name}.json")
        print(f"{name:18} {theta!r}")


def _add_bench(commands):
    bench = commands.add_parser("bench", help="measure the speed of the loss, GradientNorm and training")
    bench.add_argument(
        "what",
        nargs="?",
        choices=["all", "loss", "gradient_norm", "training", "texts"],
        default="all",
        help="all is loss and gradient_norm; training: ResNets; texts: a sample of Table 2 (all)",
    )
    bench.add_argument("--rounds", type=_positive, help="rounds of loss and gradient_norm (15)")
    bench.add_argument("--model", choices=["ResNet18", "ResNet34"], default="ResNet18", help="(ResNet18)")
    bench.add_argument("--width", type=_positive, default=16, help="of training: channels (16)")
    bench.add_argument("--images", type=_positive, default=1024, help="of training: an epoch (1024)")
    bench.add_argument(
        "--precision",
        choices=["float32", "mixed_bfloat16"],
        nargs="+",
        default=["float32", "mixed_bfloat16"],
        help="of training: dtype policies (both)",
    )
    bench.add_argument("--vectors", help="of texts: file or gensim name (glove-wiki-gigaword-300)")
    bench.set_defaults(run=_run_bench)


def _run_bench(options):
    from pls_keras import bench

    rounds = {"rounds": options.rounds} if options.rounds else {}
    if options.what in ("all", "loss"):
        print("\nLoss and gradient, compiled, against Keras's sparse cross-entropy")
        print(bench.bench_loss(**rounds).round(3).to_string(index=False))
    if options.what in ("all", "gradient_norm"):
        table = bench.bench_gradient_norm(**rounds)
        print("\nAn epoch of ResNet-18 at width 16 with GradientNorm against one without")
        print(table.round(3).to_string(index=False))
        print(f"median ratio {table['ratio'].median():.3f}")
    if options.what == "texts":
        from pls_keras.experiments.bench_texts import bench_texts

        print("\nTwo runs of Table 2 of one epoch each: as a sweep, and the straightforward way")
        table = bench_texts(options.vectors or "glove-wiki-gigaword-300")
        print(table.round(2).to_string(index=False))
        whole = table["straightforward_seconds"].sum() / table["seconds"].sum()
        print(f"ratio of the whole {whole:.2f}")
    if options.what == "training":
        table = bench.bench_training(
            options.model, width=options.width, images=options.images, precisions=options.precision
        )
        print(f"\n{options.model} at width {options.width}, batches of 128: images a second in fit")
        print(table.round(1).to_string(index=False))


def _save(theta, path):
    theta.save(path)
    print(f"Wrote {path}: {theta!r}")


def _labels(text):
    path = pathlib.Path(text)
    if path.is_file():
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    labels = [label.strip() for label in text.split(",")]
    if len(labels) < 2 or not all(labels):
        raise ValueError(
            "--labels must be a file with one label a line, or two labels or more with commas "
            f"between. Received: {text!r}, which is no file"
        )
    return labels


def _positive(text):
    return _number(text, int, "must be a whole number, at least 1", lambda value: value >= 1)


def _positive_number(text):
    return _number(text, float, "must be a positive number", lambda value: 0 < value < math.inf)


def _ratio(text):
    return _number(text, float, "must lie in [0, 1)", lambda value: 0 <= value < 1)


def _number(text, kind, rule, holds):
    try:
        if holds(value := kind(text)):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{rule}, not {text!r}")


def _picture(text):
    if not pathlib.Path(text).suffix:
        raise argparse.ArgumentTypeError(f"must end in .png, .pdf or .svg, not {text!r}")
    return text


def _pair(text):
    word, _, stand_in = text.partition("=")
    if not stand_in:
        raise argparse.ArgumentTypeError(f"must have the form word=stand-in, not {text!r}")
    return word, stand_in


if __name__ == "__main__":
    main()
