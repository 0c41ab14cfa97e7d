"""How texts of the reports look on a terminal."""

import itertools


def print_aligned(text):
    """Print text; the columns of its Markdown tables get one width each."""
    for is_table, lines in itertools.groupby(text.splitlines(), lambda line: line.startswith("|")):
        block = [*lines]
        print("\n".join(_aligned(block) if is_table else block))


def _aligned(lines):
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    widths = [max(len(cell) for cell in column) for column in itertools.zip_longest(*rows, fillvalue="")]
    for row in rows:
        fill = "-" if set(row[0]) <= {"-", ":"} and row[0] else " "
        cells = [cell.ljust(width, fill) for cell, width in zip(row, widths, strict=False)]
        yield f"| {' | '.join(cells)} |"
