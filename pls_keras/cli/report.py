"""`pls_keras report`: print a table beside the paper's, or draw a figure."""

import pathlib
import re
import sys

from pls_keras.cli.arguments import folder_path
from pls_keras.cli.terminal import print_aligned
from pls_keras.experiments.results import merge_results
from pls_keras.experiments.store import RunStore
from pls_keras.experiments.sweeps import SCALES, SWEEPS
from pls_keras.reports.effects import effects_text
from pls_keras.reports.pictures import draw_report, draw_theta
from pls_keras.reports.speed import speed_text
from pls_keras.reports.tables import OBSERVED, REPORTS, load_results, report_text
from pls_keras.thetas import Theta

RESULTS = pathlib.Path("notebooks/results")
SPEED = "speed"  # in it: the files of `bench --json`
PAGES = pathlib.Path("README.md"), pathlib.Path("docs/speed.md")
BLOCK = re.compile(r"<!-- (\w+) -->\n.*?<!-- end of \1 -->", re.DOTALL)
# What needs no sweep of its own.
OTHERS = ("figure2", "observations", "readme")


def add_arguments(parser):
    """Add the options of `report`."""
    parser.description = (
        "Print a table, or draw a figure, from results that are kept as CSV. With --store, the finished "
        "runs of a store come in first, and all that is printed or drawn is kept. `report readme` "
        "writes the tables into README.md, docs/speed.md and the results' README.md, between comments that "
        "name them."
    )
    parser.add_argument("sweep", choices=[*SWEEPS, *OTHERS])
    parser.add_argument("--scale", choices=[*SCALES], help="only this scale; else each that there is")
    parser.add_argument("--store", type=folder_path, help="folder of finished runs to add")
    parser.add_argument("--vectors", help="as given to run")
    parser.add_argument("--results", type=folder_path, default=RESULTS, help=f"folder ({RESULTS})")
    parser.set_defaults(run=_run)


def _run(options):
    sweeps = _sweeps_of(options.sweep)
    if options.vectors and not options.store:
        raise ValueError("--vectors says which runs of a store to add: give its --store as well.")
    if options.store and not sweeps:
        raise ValueError(f"--store: {options.sweep} has no runs of its own. Leave it out.")
    if options.store and not options.store.is_dir():
        raise ValueError(
            f"--store: there is no folder {str(options.store)!r}. Runs get into it with: "
            f"{_how_to_train(sweeps, options)}"
        )
    if not options.store and not options.results.is_dir():
        raise ValueError(
            f"--results: there is no folder {str(options.results)!r}. Kept results lie in the repository's "
            f"{RESULTS}; finished runs get into a folder of your own with --store."
        )
    for sweep in sweeps if options.store else ():
        merge_results(RunStore(options.store), sweep, options.results, options.vectors)
    if options.sweep == "figure2":
        theta = Theta.load("cifar10-semls")
        print(theta.to_frame().round(3).to_string())
        draw_theta(theta, options.results / "figure2.png")
    elif options.sweep == "readme":
        pages = [page for page in (*PAGES, options.results / "README.md") if page.is_file()]
        if not pages:
            raise ValueError(
                f"None of the pages of {pathlib.Path.cwd()} and {options.results} is there. Run it in the "
                "folder that holds README.md."
            )
        for page in pages:
            _write_tables(page, options.results)
    else:
        _print_report(options)


def _print_report(options):
    texts, unfinished = _texts(options.sweep, options.results)
    asked = [options.scale] if options.scale else SCALES
    shown = [scale for scale in asked if scale in texts]
    for scale in filter(unfinished.get, asked):
        if not shown:
            raise unfinished[scale]
        print(f"Scale {scale}: {unfinished[scale]}", file=sys.stderr)
    report = REPORTS.get(options.sweep)
    for scale in shown:
        if report and (options.store or report.curve):
            draw_report(options.sweep, scale, options.results, options.results)
    if not shown:
        at_scale = f" at scale {options.scale}" if options.scale else ""
        in_store = f", and no finished runs of it in {options.store}" if options.store else ""
        sweeps = _sweeps_of(options.sweep)
        lacking = [s for s in sweeps if not any(_is_kept(s, scale, options.results) for scale in asked)]
        raise ValueError(
            f"No results of {' and '.join(lacking or sweeps)}{at_scale} in {options.results}{in_store}. "
            f"Train them with: {_how_to_train(lacking or sweeps, options)}"
        )
    print_aligned("\n\n".join(texts[scale] for scale in shown))
    if options.store:  # the page has every scale, whichever was asked for
        kept = "\n\n".join(texts.values())
        (options.results / f"{options.sweep}.md").write_text(kept + "\n", encoding="utf-8")


def _sweeps_of(name):
    """The sweeps whose runs a report reads: none of what is drawn or written from something else."""
    return OBSERVED if name == "observations" else (name,) if name in SWEEPS else ()


def _is_kept(name, scale, results):
    try:
        return not load_results(name, scale, results).empty
    except FileNotFoundError:
        return False


def _how_to_train(sweeps, options):
    """The commands that train what a report lacks, and then report it."""
    store = options.store or "pls-runs"
    runs = [
        f"python -m pls_keras run {sweep} --scale {options.scale or 'paper'} --store {store}"
        for sweep in sweeps
    ]
    results = f" --results {options.results}" if options.results != RESULTS else ""
    report = f"python -m pls_keras report {options.sweep} --store {store}{results}"
    return ", then: ".join([*runs, report])


def _texts(name, results, **options):
    """A report at each scale of which there are results, and the error of each that is not whole yet."""
    texts, unfinished = {}, {}
    for scale in SCALES:
        try:
            texts[scale] = report_text(name, scale, results, **options)
        except ValueError as error:
            unfinished[scale] = error
    return {scale: text for scale, text in texts.items() if text}, unfinished


def _write_tables(page, results):
    """Put each table between `<!-- table2 -->` and `<!-- end of table2 -->`."""

    def block(match):
        name = match[1]
        if name == "effects":
            found = effects_text(results, SCALES)
        elif name.startswith("bench_"):
            found = speed_text(name.removeprefix("bench_"), results / SPEED)
        else:
            texts, _ = _texts(name, results, details=False)
            found = next(iter(texts.values()), None)
        return f"<!-- {name} -->\n{found or 'Not measured yet.'}\n<!-- end of {name} -->"

    page.write_text(BLOCK.sub(block, page.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"Wrote {page}")
