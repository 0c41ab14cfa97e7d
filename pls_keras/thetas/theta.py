"""Theta: how the smoothing mass of each class is shared among the others (section 3)."""

import difflib
import json
import pathlib
import types

import keras
import numpy as np
import pandas as pd

from pls_keras.thetas.checks import class_labels, frame_labels, number, shown, whole_number

# Up to here theta is a K×K array. Beyond, uniform, cluster and top-k thetas are kept in parts.
DENSE_LIMIT = 1000
LARGEST_MATRIX = 10_000
CHUNK_ENTRIES = 2**22  # of a structured theta's rows, made at a time
ARRAYS = ("matrix", "groups", "group_weight", "indices", "values")
SHIPPED = pathlib.Path(__file__).parent


@keras.saving.register_keras_serializable(package="pls_keras")
class Theta:
    """A row-stochastic relation between classes: entry [true, other], shape (classes, classes).

    Row `t` is the distribution that takes the mass ε from true class `t` (eq. 3.1). A theta is
    immutable and acts as an array, `np.asarray(theta)`.

    A theta of at most `DENSE_LIMIT` classes, and any that is given as a matrix, is dense. Larger
    ones from the builders are structured, in memory of order classes:

        theta[t, k] = group_weight[t]·[groups[k] = groups[t]] + Σ_j values[t, j]·[indices[t, j] = k]

    Args:
        matrix: array-like, `DataFrame` or `Theta` of shape (classes, classes), no entry negative, each
            row summing to one. A row-normalised theta is not symmetric: rows are true classes.
        labels: list of the names of the classes, in the order of the model's outputs. Defaults to the
            index of a `DataFrame`, which they must repeat if it has names, else to "0", "1", …
        provenance: mapping of plain values that says where theta comes from.

    Raises:
        ValueError: if the matrix is not square, has a negative or non-finite entry or a row that
            does not sum to one, if the labels do not fit it, are no list, are empty or not all
            different, or if the provenance is not plain.

    Example:
        >>> theta = Theta([[0.0, 0.8, 0.2], [0.5, 0.0, 0.5], [0.1, 0.9, 0.0]], ["cat", "dog", "fish"])
        >>> theta.row("cat").to_dict()
        {'cat': 0.0, 'dog': 0.8, 'fish': 0.2}
    """

    def __init__(self, matrix, labels=None, *, provenance=None):
        if isinstance(matrix, Theta):
            matrix = matrix.to_frame()
        if isinstance(matrix, pd.DataFrame):
            if list(map(str, matrix.index)) != list(map(str, matrix.columns)):
                raise ValueError(
                    "matrix must have the same labels as index and columns, in the same order. "
                    f"Received: index {list(matrix.index)}, columns {list(matrix.columns)}"
                )
            labels = frame_labels(matrix.index, labels, "matrix")
        try:
            matrix = _array("matrix", matrix, "float64")
        except ValueError as error:
            raise ValueError(
                f"{error} A theta that was saved, or comes with the package, is Theta.load(name); one of "
                "labels alone is made by a builder, such as uniform_theta(labels)."
            ) from error
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
            raise ValueError(
                "matrix must have shape (classes, classes) with at least 2 classes. "
                f"Received: shape {matrix.shape}"
            )
        labels = range(len(matrix)) if labels is None else labels
        self._fill(labels, provenance, len(matrix), matrix=matrix)
        self._check_rows(matrix)

    def _fill(self, labels, provenance, classes, **arrays):
        labels = class_labels(labels, classes)
        try:  # what a file would give back
            provenance = json.loads(json.dumps(dict(provenance or {"builder": "Theta"})))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"provenance must hold plain text, numbers, lists and mappings. Received: {provenance}"
            ) from error
        provenance = types.MappingProxyType(provenance)
        state = {"labels": labels, "provenance": provenance, **dict.fromkeys(ARRAYS), **arrays}
        for name, value in state.items():
            if name in arrays:
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    @classmethod
    def _from_parts(cls, labels, provenance, *, groups, group_weight, indices, values):
        """A valid theta from the parts of its structured form; dense if it has few classes."""
        theta = object.__new__(cls)
        parts = {
            "groups": _array("groups", groups, "int64"),
            "group_weight": _array("group_weight", group_weight, "float64"),
            "indices": _array("indices", indices, "int64"),
            "values": _array("values", values, "float64"),
        }
        _check_parts(**parts)
        parts |= {name: parts[name].astype("int32") for name in ("groups", "indices")}
        theta._fill(labels, provenance, len(groups), **parts)
        if theta.classes > DENSE_LIMIT:
            sizes = np.bincount(theta.groups)[theta.groups]
            theta._check_sums(sizes * theta.group_weight + theta.values.sum(axis=1))
            return theta
        return cls(theta.rows(np.arange(theta.classes)), labels, provenance=provenance)

    @classmethod
    def _from_neighbours(cls, labels, provenance, indices, values):
        """A theta whose row `t` gives class `indices[t, j]` mass in proportion to `values[t, j]`."""
        return cls._from_parts(
            labels,
            provenance,
            groups=np.zeros(len(indices)),
            group_weight=np.zeros(len(indices)),
            indices=indices,
            values=values / values.sum(axis=1, keepdims=True),
        )

    def _check_rows(self, matrix):
        wrong = ~np.isfinite(matrix) | (matrix < 0)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                "matrix must hold finite numbers, none negative. Received: "
                f"{matrix[row, column]} in row {self.labels[row]!r}, column {self.labels[column]!r}"
            )
        self._check_sums(matrix.sum(axis=1))

    def _check_sums(self, sums):
        row = np.argmax(np.abs(sums - 1))
        if not abs(sums[row] - 1) <= 1e-6:  # also if it is not a number
            raise ValueError(
                f"Each row of matrix must sum to one, but row {self.labels[row]!r} sums to "
                f"{sums[row]:.6g}. Give matrix / matrix.sum(axis=1, keepdims=True), if rows are "
                "the true classes."
            )

    def __setattr__(self, *name_and_value):
        raise AttributeError("A Theta is immutable; build a new one.")

    __delattr__ = __setattr__

    def __reduce__(self):
        return Theta.from_config, (self.get_config(),)

    def __eq__(self, other):
        """Whether both have the same labels and the same rows, wherever they come from."""
        if not isinstance(other, Theta):
            return NotImplemented
        if self is other or self.labels != other.labels:
            return self is other
        if self.is_dense and other.is_dense:
            return np.array_equal(self.matrix, other.matrix)
        return all(np.array_equal(self.rows(ids), other.rows(ids)) for ids in self._chunks())

    def __hash__(self):
        if "_hash" not in vars(self):
            ends = self.rows(np.array([0, self.classes - 1])).tobytes()
            object.__setattr__(self, "_hash", hash((self.labels, ends)))
        return self._hash

    def __len__(self):
        return len(self.labels)

    def __repr__(self):
        builder = self.provenance.get("builder", "Theta")
        effective = np.exp(np.mean(np.log(self.effective_classes())))
        return f"<Theta of {self.classes} classes by {builder}, {effective:.1f} effective>"

    def __array__(self, dtype=None, copy=None):
        if self.is_dense:
            return np.array(self.matrix, dtype=dtype, copy=copy)
        if self.classes > LARGEST_MATRIX:
            raise ValueError(
                f"This theta of {self.classes:,} classes is kept in parts; as a matrix it would take "
                f"{self.classes**2 * 8 / 1e9:,.0f} GB. Take theta.rows(ids) of the classes in hand."
            )
        if copy is False:
            raise ValueError("A theta kept in parts has no array to share. Do not ask for copy=False.")
        return self.rows(np.arange(self.classes)).astype(dtype or "float64", copy=False)

    @property
    def classes(self):
        """Number of classes, K."""
        return len(self.labels)

    @property
    def shape(self):
        """(classes, classes)."""
        return self.classes, self.classes

    @property
    def is_dense(self):
        """Whether theta is kept as one matrix."""
        return self.matrix is not None

    def rows(self, ids):
        """Rows of some classes.

        Args:
            ids: class ids of shape (n,).

        Returns:
            Array of shape (n, classes), float64.

        Raises:
            ValueError: if ids are none of 0, …, classes - 1.
        """
        ids = np.asarray(ids)
        ids = ids if ids.size else ids.astype(int)
        if ids.ndim != 1 or ids.dtype.kind not in "iu" or np.any((ids < 0) | (ids >= self.classes)):
            raise ValueError(
                f"ids must be a list of class ids in [0, {self.classes}). Received: {shown(ids)}. "
                "theta.row(label) takes a label."
            )
        if self.is_dense:
            return self.matrix[ids]
        same_group = self.groups[ids][:, None] == self.groups[None, :]
        rows = np.where(same_group, self.group_weight[ids][:, None], 0.0)
        np.add.at(rows, (np.arange(len(ids))[:, None], self.indices[ids]), self.values[ids])
        return rows

    def _chunks(self):
        """Ids of all classes, so many at a time that their rows take little memory."""
        return np.array_split(np.arange(self.classes), -(-(self.classes**2) // CHUNK_ENTRIES))

    def row(self, label):
        """The distribution of true class `label` over all classes, a `Series`.

        Raises:
            KeyError: if theta has no such label.
        """
        return pd.Series(self.rows([self._id(label)])[0], index=self.labels, name=label)

    def _id(self, label):
        if label not in self.labels:
            near = difflib.get_close_matches(str(label), self.labels) or self.labels[:5]
            raise KeyError(f"No label {label!r} among the {self.classes}. Near ones: {', '.join(near)}")
        return self.labels.index(label)

    def neighbours(self, label, n=5):
        """The at most `n` classes that get most of the mass of `label`, largest first, a `Series`."""
        row = self.row(label)
        return row[row > 0].nlargest(n)

    def to_frame(self):
        """`DataFrame` of shape (classes, classes), rows the true classes."""
        return pd.DataFrame(np.asarray(self), index=self.labels, columns=self.labels)

    def top_k(self, k):
        """A theta that keeps the `k` largest entries of each row, scaled to sum to one.

        Args:
            k: number of classes to keep, from 1 to `classes`.
        """
        k = whole_number(k, "k", 1, self.classes)
        indices = np.empty((self.classes, k), "int32")
        values = np.empty((self.classes, k))
        for chunk in self._chunks():
            rows = self.rows(chunk)
            indices[chunk] = np.argpartition(-rows, k - 1, axis=1)[:, :k]
            values[chunk] = np.take_along_axis(rows, indices[chunk], axis=1)
        provenance = {**self.provenance, "top_k": k}
        return Theta._from_neighbours(self.labels, provenance, indices, values)

    def sharpen(self, power):
        """Theta with each entry to a power, each row scaled to sum to one.

        For a theta of `semantic_theta` that is the theta of a larger power of the distance.

        Args:
            power: positive exponent; above 1 the nearest classes gain.
        """
        power = number(power, "power", positive=True)
        matrix = np.asarray(self)
        matrix = (matrix / matrix.max(axis=1, keepdims=True)) ** power
        provenance = {**self.provenance, "sharpened": power}
        return Theta(matrix / matrix.sum(axis=1, keepdims=True), self.labels, provenance=provenance)

    def select(self, labels):
        """Theta among some of the classes, in this order, each row scaled to sum to one.

        Args:
            labels: at least 2 of theta's labels.

        Raises:
            KeyError: if theta has no such label.
            ValueError: if a class has no mass on the others, or if they are no list of different labels.
        """
        labels = list(class_labels(labels))
        ids = [self._id(label) for label in labels]
        part = self.rows(ids)[:, ids]
        sums = part.sum(axis=1)
        if not sums.all():
            empty = [labels[i] for i in np.flatnonzero(sums == 0)]
            raise ValueError(f"No mass among the selected labels: {empty}")
        provenance = {**self.provenance, "selected": labels}
        return Theta(part / sums[:, None], labels, provenance=provenance)

    def effective_classes(self):
        """How many classes each row spreads over: exp of its entropy, shape (classes,), in [1, K]."""
        if self.is_dense:
            return np.exp(_entropy_terms(self.matrix).sum(axis=1))
        # A row has the entries listed for it, and the rest of its group, all of one weight.
        listed = np.where(
            self.groups[self.indices] == self.groups[:, None], self.group_weight[:, None], 0.0
        )
        in_group = (self.groups[self.indices] == self.groups[:, None]) & (self.values != 0)
        rest = np.bincount(self.groups)[self.groups] - in_group.sum(axis=1)
        entropy = rest * _entropy_terms(self.group_weight)
        terms = _entropy_terms(np.clip(listed + self.values, 0, None))
        return np.exp(entropy + np.where(self.values != 0, terms, 0.0).sum(axis=1))

    def plot(self, ax=None):
        """Draw theta as a heat map, as in Figure 2. Returns the axes."""
        from pls_keras.reports.plots import plot_theta

        return plot_theta(self, ax=ax)

    def get_config(self):
        return {
            "labels": list(self.labels),
            "provenance": dict(self.provenance),
            **{n: getattr(self, n).tolist() for n in ARRAYS if getattr(self, n) is not None},
        }

    @classmethod
    def from_config(cls, config):
        arrays = ARRAYS[:1] if "matrix" in config else ARRAYS[1:]
        if set(config) != {"labels", "provenance", *arrays}:
            raise ValueError(
                "A theta has labels, provenance, and matrix or groups, group_weight, indices and values. "
                f"Received: {shown(list(config))}"
            )
        if "matrix" in config:
            return cls(config["matrix"], config["labels"], provenance=config["provenance"])
        return cls._from_parts(**config)

    def save(self, path):
        """Write theta, labels and provenance to a JSON file, exactly."""
        fields = []
        for name, value in self.get_config().items():
            text = json.dumps(value, ensure_ascii=False)
            if name == "matrix":  # a line a row
                text = text.replace("], [", "],\n  [").replace("[[", "[\n  [")
            fields.append(f' "{name}": {text}')
        pathlib.Path(path).write_text("{\n" + ",\n".join(fields) + "\n}\n", encoding="utf-8")

    @classmethod
    def load(cls, path):
        """Read a theta.

        Args:
            path: a file that `save` wrote, or the name of a theta that comes with the package,
                such as "cifar100-semls"; `Theta.shipped()` lists them.

        Raises:
            FileNotFoundError: if it is neither.
            ValueError: if the file holds something else.
        """
        file = SHIPPED / f"{path}.json" if str(path) in cls.shipped() else pathlib.Path(path)
        if not file.is_file():
            raise FileNotFoundError(
                f"No file {str(path)!r}, and no theta of this name comes with the package. "
                f"These do: {', '.join(cls.shipped())}"
            )
        try:
            return cls.from_config(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError, RecursionError) as error:  # JSON's and Unicode's are ValueErrors
            raise ValueError(f"{str(path)!r} is not a file that Theta.save wrote: {error}") from error

    @staticmethod
    def shipped():
        """Names of the thetas that come with the package, for `Theta.load`."""
        return sorted(file.stem for file in SHIPPED.glob("*.json"))


def _array(name, value, dtype):
    """An array of a field of theta, as a copy."""
    try:
        array = np.array(value)
        if array.dtype.kind in "biuf" and (dtype == "float64" or (array == array.astype(dtype)).all()):
            return array.astype(dtype)
    except (ValueError, OverflowError):  # rows of different lengths
        pass
    kind = "whole numbers" if dtype == "int64" else "numbers"
    raise ValueError(f"{name} must hold {kind}, as many in each row. Received: {shown(value)}.")


def _check_parts(groups, group_weight, indices, values):
    """Before anything is made of them: a file may say what it likes."""
    classes = len(groups)
    shapes = [array.shape for array in (groups, group_weight, indices, values)]
    if shapes[:2] != 2 * [(classes,)] or indices.ndim != 2 or indices.shape != values.shape:
        wanted = "groups and group_weight (classes,), indices and values (classes, n)"
        raise ValueError(f"Shapes must be: {wanted}. Received: {', '.join(map(str, shapes))}")
    if len(indices) != classes:
        raise ValueError(f"indices must have a row for each of {classes} classes. Received: {len(indices)}")
    for name, array in (("groups", groups), ("indices", indices)):
        if array.size and (array.min() < 0 or array.max() >= classes):
            raise ValueError(
                f"{name} must lie in [0, {classes}), the classes. Received: {array.min()} to {array.max()}"
            )


def _entropy_terms(p):
    return -p * np.log(np.where(p > 0, p, 1.0))
