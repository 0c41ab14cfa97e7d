"""Progress bars where somebody looks at them: on a terminal and in a notebook, not in a file."""

import sys

from tqdm.auto import tqdm
from tqdm.notebook import tqdm_notebook


def progress(iterable=None, **options):
    """A bar of tqdm with its `options`; in a file or a pipe, nothing."""
    is_seen = issubclass(tqdm, tqdm_notebook) or sys.stderr.isatty()
    return tqdm(iterable, disable=not is_seen, **options)
