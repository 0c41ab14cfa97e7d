"""`pls_keras theta`: build, show, plot and save thetas."""

import argparse
import json
import pathlib

import pandas as pd

from pls_keras.cli.arguments import file_type, positive, positive_number
from pls_keras.thetas import (
    Theta,
    cluster_theta,
    cooccurrence_theta,
    hierarchy_theta,
    load_vectors,
    semantic_theta,
    uniform_theta,
)
from pls_keras.thetas.shipped import build_shipped_thetas
from pls_keras.thetas.theta import SHIPPED


def add_arguments(parser):
    """Add the actions of `theta`."""
    parser.description = (
        "Thetas from the shell. A theta is a file that was saved, or the name of one that comes with "
        "the package."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for add in (
        _add_list,
        _add_show,
        _add_plot,
        _add_uniform,
        _add_cluster,
        _add_hierarchy,
        _add_semantic,
        _add_cooccurrence,
        _add_ship,
    ):
        add(actions)


def _add_list(actions):
    listed = actions.add_parser("list", help="name the thetas that come with the package")
    listed.set_defaults(run=_list)


def _list(options):
    for name in Theta.shipped():
        print(f"{name:20} {Theta.load(name)!r}")


def _add_show(actions):
    show = actions.add_parser("show", help="print a theta's provenance and nearest classes")
    _add_theta(show)
    show.add_argument("--label", help="show this class alone")
    show.add_argument("-n", type=positive, default=3, help="classes to show for each (3)")
    show.set_defaults(run=_show)


def _show(options):
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


def _add_plot(actions):
    plot = actions.add_parser("plot", help="draw a theta as a heat map")
    _add_theta(plot)
    plot.add_argument(
        "--out",
        required=True,
        type=file_type(".png", ".pdf", ".svg"),
        help="picture to write: .png, .pdf or .svg",
    )
    plot.set_defaults(run=_plot)


def _plot(options):
    Theta.load(options.theta).plot().figure.savefig(options.out, bbox_inches="tight")
    print(f"Wrote {options.out}")


def _add_uniform(actions):
    uniform = actions.add_parser("uniform", help="build ULS: equal shares")
    _add_labels(uniform)
    uniform.add_argument("--without-true", action="store_true", help="no share for the true class")
    _add_out(uniform)
    uniform.set_defaults(run=_build_uniform)


def _build_uniform(options):
    _save(uniform_theta(_labels(options.labels), not options.without_true), options.out)


def _add_cluster(actions):
    cluster = actions.add_parser("cluster", help="build CLS: shares within clusters")
    cluster.add_argument("clusters", help="CSV file with columns label,cluster")
    cluster.add_argument("--include-true", action="store_true", help="a share for the true class")
    _add_out(cluster)
    cluster.set_defaults(run=_build_cluster)


def _build_cluster(options):
    table = _table(options.clusters, dtype=str, keep_default_na=False)
    if not {"label", "cluster"} <= set(table.columns):
        raise ValueError(
            f"{options.clusters} needs columns label and cluster. Received: {list(table.columns)}"
        )
    clusters = table.set_index("label")["cluster"]
    _save(cluster_theta(clusters, options.include_true), options.out)


def _add_hierarchy(actions):
    hierarchy = actions.add_parser("hierarchy", help="build from a taxonomy: shares by nearness in it")
    hierarchy.add_argument(
        "tree", help="JSON file: the path of each label, or nested groups with lists of labels"
    )
    hierarchy.add_argument("--beta", type=float, default=1.0, help="how fast the mass falls (1)")
    hierarchy.add_argument("--include-true", action="store_true", help="a share for the true class")
    _add_out(hierarchy)
    hierarchy.set_defaults(run=_build_hierarchy)


def _build_hierarchy(options):
    try:
        tree = json.loads(pathlib.Path(options.tree).read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{options.tree} is not a JSON file: {error}") from error
    _save(hierarchy_theta(tree, beta=options.beta, include_true=options.include_true), options.out)


def _add_semantic(actions):
    semantic = actions.add_parser("semantic", help="build SEMLS: shares by word vectors")
    _add_labels(semantic)
    _add_vectors(semantic)
    semantic.add_argument(
        "--power", type=positive_number, default=1.0, help="of the distance (1, the paper's)"
    )
    semantic.add_argument("--top-k", type=positive, help="keep only the nearest classes")
    semantic.add_argument("--replace", type=_pair, action="append", default=[], metavar="WORD=STAND-IN")
    _add_out(semantic)
    semantic.set_defaults(run=_build_semantic)


def _build_semantic(options):
    theta = semantic_theta(
        _labels(options.labels),
        load_vectors(options.vectors),
        power=options.power,
        top_k=options.top_k,
        replace=dict(options.replace),
    )
    _save(theta, options.out)


def _add_cooccurrence(actions):
    together = actions.add_parser("cooccurrence", help="build from labels that are given together")
    together.add_argument("indicator", help="CSV file of 0 and 1, a column a label, a row a sample")
    together.add_argument("--pseudocount", type=float, default=0.0, help="added to each pair (0)")
    _add_out(together)
    together.set_defaults(run=_build_cooccurrence)


def _build_cooccurrence(options):
    table = _table(options.indicator)
    if nameless := [name for name in table.columns if name.startswith("Unnamed: ")]:
        raise ValueError(
            f"{options.indicator} has columns without a name: {nameless}. Each must be a label; pandas "
            "writes no others with to_csv(…, index=False)."
        )
    text = list(table.select_dtypes(exclude=["number", "bool"]).columns)
    if text:
        raise ValueError(f"{options.indicator} must hold 0 and 1. Received text in the columns {text}")
    theta = cooccurrence_theta(table, table.columns, pseudocount=options.pseudocount)
    _save(theta, options.out)


def _add_ship(actions):
    ship = actions.add_parser("ship", help="build the thetas that come with the package anew")
    _add_vectors(ship)
    ship.add_argument("--name", help="name of the vectors for the provenance")
    ship.add_argument("--out", help="folder to write to (the package's own)")
    ship.set_defaults(run=_ship)


def _ship(options):
    vectors = load_vectors(options.vectors)
    vectors.name = options.name or vectors.name
    folder = pathlib.Path(options.out or SHIPPED)
    for name, theta in build_shipped_thetas(vectors).items():
        theta.save(folder / f"{name}.json")
        print(f"{name:20} {theta!r}")


# Arguments that several actions have --------------------------------------------------------------


def _add_theta(parser):
    parser.add_argument("theta", help="file or name, such as cifar100-semls")


def _add_labels(parser):
    parser.add_argument(
        "--labels",
        required=True,
        help="the classes in the order of the model's outputs: cat,dog,car or a file with one a line",
    )


def _add_vectors(parser):
    parser.add_argument("--vectors", required=True, help="GloVe or word2vec file, or gensim name")


def _add_out(parser):
    parser.add_argument("--out", required=True, type=file_type(".json"), help="file to write: .json")


def _table(path, **kwargs):
    try:
        return pd.read_csv(path, **kwargs)
    except ValueError as error:  # it is empty, binary, or its rows differ in length
        raise ValueError(f"{path} is not a CSV file: {error}") from error


def _labels(text):
    path = pathlib.Path(text)
    if path.is_file():
        if path.suffix in (".csv", ".tsv", ".json"):
            raise ValueError(
                f"--labels must be a text with one label a line, not a {path.suffix}: {text!r}"
            )
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    labels = [label.strip() for label in text.split(",")]
    if len(labels) < 2 or not all(labels):
        raise ValueError(
            "--labels must be a file with one label a line, or two labels or more with commas "
            f"between. Received: {text!r}, which is no file"
        )
    return labels


def _pair(text):
    word, _, stand_in = text.partition("=")
    if not (word and stand_in) or "=" in stand_in:
        raise argparse.ArgumentTypeError(f"must have the form word=stand-in, once for each, not {text!r}")
    return word, stand_in


def _save(theta, path):
    theta.save(path)
    print(f"Wrote {path}: {theta!r}")
