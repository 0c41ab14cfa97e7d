"""What one types: `main` reads the command's name, a module of that name does the rest."""

import argparse
import importlib
import os
import sys

COMMANDS = {
    "demo": "compare NoLS, ULS, CLS and SEMLS on real images: a table and figures",
    "theta": "build, show, plot and save thetas",
    "bench": "measure the speed of the loss, GradientNorm and training",
    "run": "train all runs of a table or figure; goes on where it was stopped",
    "report": "print a table beside the paper's, with paired tests, or draw a figure",
}


def main(arguments=None):
    """Run a command; `python -m pls_keras --help` lists them."""
    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("MPLBACKEND", "agg")  # pictures go to files
    try:
        options, unknown = _parser(arguments[:1]).parse_known_args(arguments)
        if unknown:
            options.complain(f"unrecognized arguments: {' '.join(unknown)}")
        options.run(options)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"\npls_keras {arguments[0]}: stopped", file=sys.stderr)
        sys.exit(130)  # as a shell has it
    except (ValueError, OSError, ImportError, KeyError, RuntimeError) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        if isinstance(error, OSError) and error.filename:
            message = f"{error.strerror}: {error.filename!r}"
        print(f"pls_keras {arguments[0]}: error: {message}", file=sys.stderr)
        sys.exit(2)


def _parser(chosen):
    """The parser of all commands, with the arguments of the chosen one: the others need no import."""
    parser = argparse.ArgumentParser(
        prog="pls_keras", description="Preferential label smoothing for Keras."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        command.set_defaults(complain=command.error)  # with this command's usage, not that of all
        if name in chosen:
            if name != "theta":
                importlib.import_module("pls_keras.experiments")  # says which extra is missing
            importlib.import_module(f"pls_keras.cli.{name}").add_arguments(command)
    return parser
