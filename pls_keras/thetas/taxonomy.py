"""Taxonomies: trees whose leaves are the classes, and how far apart these lie in them."""

import numbers
import pathlib

import numpy as np

from pls_keras.thetas.checks import by_label, class_labels, names, pairs, shown
from pls_keras.thetas.theta import LARGEST_MATRIX

WORDNET_FOLDERS = (  # where Debian's package and NLTK's data have WordNet's files
    pathlib.Path("/usr/share/wordnet"),
    pathlib.Path.home() / "nltk_data" / "corpora" / "wordnet",
)
HYPERNYMS = ("@", "@i")  # WordNet's marks of what a noun is a kind, or an instance, of


def class_paths(tree, is_ordered=True):
    """The path of each class through a taxonomy.

    Args:
        tree: mapping from each label to its path from the root down, the names of the groups that it
            lies in, or to one name where there is one level, as `cluster_theta` takes it; or a nested
            mapping from groups to groups, whose last level are lists of labels. A tuple is a path. Where
            there are lists alone, as in a file of JSON, they are paths if two of them begin alike, in
            one group, and else the labels of groups.
        is_ordered: whether the order of the tree is that of the classes.

    Returns:
        Dict from label to a tuple of group names, which may be empty: the label lies at the root.

    Raises:
        ValueError: if a label occurs twice, if there are fewer than 2, if a path or a group is none, or
            if labels are class ids that are not 0, 1, …, in this order.

    Example:
        >>> class_paths({"plant": {"tree": ["oak", "fir"], "flower": ["rose"]}})
        {'oak': ('plant', 'tree'), 'fir': ('plant', 'tree'), 'rose': ('plant', 'flower')}
        >>> class_paths({"animal": ["cat", "dog"], "vehicle": ["car"]})
        {'cat': ('animal',), 'dog': ('animal',), 'car': ('vehicle',)}
    """
    places = pairs(tree, "tree")
    if _is_nested([part for _, part in places]):
        places = list(_leaves(tree, ()))
    labels, paths = by_label(places, is_ordered=is_ordered)
    paths = [[path] if isinstance(path, (str, numbers.Integral)) else path for path in paths]
    return {label: names(path, f"The path of {label!r}") for label, path in zip(labels, paths, strict=True)}


def _is_nested(parts):
    """Whether a tree of these parts goes from groups to labels, not from labels to paths."""
    if not all(isinstance(part, list) for part in parts):
        return any(isinstance(part, dict) for part in parts)
    starts = [str(part[0]) for part in parts if part]
    return len(set(starts)) == len(starts)


def _leaves(part, path):
    """Pairs of a label and its path, of a nested mapping."""
    if not part or not isinstance(part, (dict, list)):
        raise ValueError(
            "A nested tree goes from groups to groups, and at last to lists of labels; a tuple is a path. "
            f"Received: {shown(part)} under {' / '.join(map(str, path)) or 'its root'}"
        )
    for name in part:
        if isinstance(part, dict):
            yield from _leaves(part[name], (*path, name))
        else:
            yield name, path


def class_heights(tree, labels=None):
    """Height of the lowest common ancestor of each pair of classes.

    The height of a group is the number of steps down to the farthest class in it: 1 for a group of
    classes alone. Groups are told apart by their whole path, not by their name.

    Args:
        tree: taxonomy, as `class_paths` takes it.
        labels: the classes in the order of the model's outputs; None for the order of the tree. They
            may be some of the tree's labels: heights are those of the whole tree.

    Returns:
        Pair of a tuple of labels and an array (classes, classes), int, 0 on the diagonal.

    Raises:
        ValueError: if the tree lacks a label, or is no tree.

    Example:
        >>> class_heights({"oak": ("plant", "tree"), "fir": ("plant", "tree"), "cat": ("animal",)})[1]
        array([[0, 1, 3],
               [1, 0, 3],
               [3, 3, 0]])

    Reference:
        Bertinetto et al., "Making Better Mistakes", 2020, section 3.
    """
    paths = class_paths(tree, is_ordered=labels is None)
    labels = tuple(paths) if labels is None else class_labels(labels)
    if missing := [label for label in labels if label not in paths]:
        raise ValueError(f"The tree has no place for: {missing[:20]}. It has: {list(paths)[:20]}")
    if len(labels) > LARGEST_MATRIX:
        raise ValueError(
            f"{len(labels):,} classes would need as many columns; the most are {LARGEST_MATRIX:,}. "
            "cluster_theta serves any number of them."
        )
    heights = {}
    for path in paths.values():
        for depth in range(len(path) + 1):
            group = path[:depth]
            heights[group] = max(heights.get(group, 0), len(path) + 1 - depth)
    ids = {group: i for i, group in enumerate(heights)}
    height = np.array([*heights.values()])
    # A column a depth: the group there; where a path has ended, a number of the class's own.
    deepest = max(len(paths[label]) for label in labels)
    groups = -1 - np.repeat(np.arange(len(labels))[:, None], deepest + 1, axis=1)
    for row, label in zip(groups, labels, strict=True):
        path = paths[label]
        row[: len(path) + 1] = [ids[path[:depth]] for depth in range(len(path) + 1)]
    common = np.zeros((len(labels), len(labels)), int)
    for column in groups.T:  # deeper ones overwrite
        same = (column[:, None] == column) & (column[:, None] >= 0)
        common[same] = height[np.broadcast_to(column, same.shape)[same]]
    np.fill_diagonal(common, 0)
    return labels, common


def wordnet_paths(synsets, folder=None):
    """The taxonomy of classes that are nouns of WordNet.

    A synset with several hypernyms is put under the first, which makes WordNet a tree. Groups at which
    no two of the classes part are left out.

    Args:
        synsets: mapping from each label to a synset, "maple.n.02" (the second sense of the noun
            "maple") or, as ImageNet numbers them, "n02084071"; or a list of synsets, labels of their
            own.
        folder: folder of WordNet 3.0's files `data.noun` and `index.noun`; None to look where Debian's
            package `wordnet-base` and NLTK's `nltk.download("wordnet")` put them.

    Returns:
        Dict from label to a tuple of synsets from the root down, as `class_heights` takes it.

    Raises:
        FileNotFoundError: if there are no such files.
        ValueError: if WordNet has no such synset, or if a class lies above another.
    """
    if not hasattr(synsets, "items"):
        synsets = {name: name for name in names(synsets, "synsets")}
    nouns = _Nouns(_wordnet_folder(folder))
    lines = {label: nouns.ancestry(nouns.offset(synset)) for label, synset in synsets.items()}
    for label, line in lines.items():
        for other, longer in lines.items():
            if label != other and line == longer[: len(line)]:
                raise ValueError(
                    f"{synsets[label]!r} lies above {synsets[other]!r}, or is the same; each class must "
                    "be a leaf of the tree. Take a synset of a narrower meaning."
                )
    branches = {}
    for line in lines.values():
        for depth in range(1, len(line)):
            branches.setdefault(line[:depth], set()).add(line[depth])
    return {
        label: tuple(
            nouns.name(line[depth - 1]) for depth in range(1, len(line)) if len(branches[line[:depth]]) > 1
        )
        for label, line in lines.items()
    }


def _wordnet_folder(folder):
    candidates = WORDNET_FOLDERS if folder is None else [pathlib.Path(folder)]
    for candidate in candidates:
        if (candidate / "data.noun").is_file() and (candidate / "index.noun").is_file():
            return candidate
    raise FileNotFoundError(
        f"No data.noun and index.noun of WordNet 3.0 in {' or '.join(map(str, candidates))}. "
        'Install the package wordnet-base of Debian or Ubuntu, or call nltk.download("wordnet") and unpack '
        "it, or give folder."
    )


class _Nouns:
    """WordNet's nouns, read where they lie: its offsets are places in the file (manual page wndb)."""

    def __init__(self, folder):
        self.data = (folder / "data.noun").read_bytes()
        self.senses = {}
        with (folder / "index.noun").open(encoding="utf-8") as lines:
            for line in lines:
                if not line.startswith(" "):  # the licence
                    lemma, _, count, *rest = line.split()
                    self.senses[lemma] = [int(offset) for offset in rest[-int(count) :]]

    def offset(self, synset):
        """Where a synset lies."""
        if synset[:1] == "n" and synset[1:].isdigit():
            offset = int(synset[1:])
            if self.data[offset : offset + 9] == b"%08d " % offset:
                return offset
            raise ValueError(f"No synset {synset!r} in WordNet 3.0.")
        lemma, _, sense = synset.lower().rpartition(".n.")
        senses = self.senses.get(lemma, [])
        if sense.isdigit() and 1 <= int(sense) <= len(senses):
            return senses[int(sense) - 1]
        lemma = lemma or synset.lower().replace(" ", "_")
        known = [f"{lemma}.n.{i:02}" for i in range(1, len(self.senses.get(lemma, [])) + 1)]
        hint = f"There are: {', '.join(known)}." if known else "It has the form word.n.01."
        raise ValueError(f"No synset {synset!r} in WordNet 3.0. {hint}")

    def name(self, offset):
        """A synset's name, by its first word."""
        lemma = self._words(offset)[0].lower()
        return f"{lemma}.n.{self.senses[lemma].index(offset) + 1:02}"

    def ancestry(self, offset):
        """Offsets from the root down to a synset."""
        fields = self._fields(offset)
        pointers = fields[5 + 2 * int(fields[3], 16) :]
        for symbol, parent, *_ in zip(*[iter(pointers)] * 4, strict=False):
            if symbol in HYPERNYMS:
                return (*self.ancestry(int(parent)), offset)
        return (offset,)

    def _words(self, offset):
        fields = self._fields(offset)
        return fields[4 : 4 + 2 * int(fields[3], 16) : 2]

    def _fields(self, offset):
        end = self.data.index(b"|", offset)
        return self.data[offset:end].decode().split()
