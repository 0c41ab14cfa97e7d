"""What `pip install pls_keras` leaves out, and the one sentence that says how to get it."""

import importlib.util


def require(extra, *modules, otherwise=""):
    """Raise unless modules of an optional part of the package are installed.

    Args:
        extra: the part's name in `setup.cfg`.
        *modules: names of top-level modules, which are looked for and not imported.
        otherwise: what else helps, to follow the sentence's command.

    Raises:
        ImportError: if one is missing; it names the extra that brings it.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ImportError(
            f"This needs {', '.join(missing)}, not installed here: "
            f'pip install "pls_keras[{extra}]"{otherwise}'
        ) from None
