"""Word vectors from the files that people have, as gensim's `KeyedVectors`."""

import contextlib
import gzip
import pathlib
import re
import statistics
import tempfile
import zipfile
import zlib

import numpy as np

from pls_keras._extras import require

WANTED = (
    "Wanted: a text of GloVe or word2vec, a line a word and then its numbers, as it is or compressed (.gz, "
    ".zip); word2vec's .bin or .bin.gz; or what gensim's KeyedVectors.save wrote (.kv)"
)
SAMPLED = 1_000  # lines that say of how many numbers a vector is


def load_vectors(source):
    """Word vectors from a file or from gensim's collection.

    Args:
        source: path of a text file of GloVe or word2vec, of a word2vec ".bin", of either compressed as
            ".gz" or ".zip", or of what `KeyedVectors.save` wrote (".kv"); or a name that
            `gensim.downloader` knows, such as "glove-wiki-gigaword-300", which is downloaded once.
            A file among several of a ".zip" is "glove.6B.zip/glove.6B.100d.txt". A ".kv" is a pickle,
            which can run any program when it is loaded: load none that you did not write.

    Returns:
        gensim's `KeyedVectors`; its `name` goes into the provenance of a theta. Of a word that comes
        twice the first vector counts. Bytes that are no UTF-8 become the sign for that.

    Raises:
        FileNotFoundError: if there is no such file, and the name cannot be had from gensim either.
        ImportError: if the extra "text" is not installed.
        ValueError: if the file holds no word vectors, or only a part of them; it says what it holds.
    """
    require("text", "gensim")
    path, member = _archive_member(pathlib.Path(source))
    if path.is_file():
        try:
            vectors = _read(path, member)
        except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{source} is damaged or only a part of a file ({error}): get it again. {WANTED}."
            ) from error
        vectors.name = re.sub(r"(\.(txt|vec|bin|kv|gz|zip))+$", "", pathlib.Path(source).name)
        return vectors
    import gensim.downloader  # takes a second, and few programs load vectors

    try:
        vectors = gensim.downloader.load(str(source))
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"No file {str(source)!r}, and gensim.downloader could not load vectors of this name "
            f"({error}). Give the path of a GloVe or word2vec file, or with a network a name "
            "such as 'glove-wiki-gigaword-300'."
        ) from error
    vectors.name = str(source)
    return vectors


def _archive_member(path):
    """A path, or an archive in it and what is named within."""
    for archive in path.parents:
        if archive.suffix == ".zip" and archive.is_file():
            return archive, path.relative_to(archive).as_posix()
    return path, None


def _read(path, member):
    with contextlib.ExitStack() as stack:
        name, start = path.name, path.open("rb").read(2)
        if start == b"PK":
            archive = stack.enter_context(zipfile.ZipFile(path))
            name = _member_name(archive, path, member)
            lines = stack.enter_context(archive.open(name))
        else:
            opened = gzip.open if start == b"\x1f\x8b" else open
            lines = stack.enter_context(opened(path, "rb"))
        kind = pathlib.PurePath(name.removesuffix(".gz")).suffix
        if kind not in (".kv", ".bin"):
            return _read_text(lines, path)
        if start in (b"PK", b"\x1f\x8b"):  # gensim takes a file
            with tempfile.TemporaryDirectory() as folder:
                unpacked = pathlib.Path(folder) / f"vectors{kind}"
                with unpacked.open("wb") as file:
                    while block := lines.read(1 << 24):
                        file.write(block)
                return _read_with_gensim(unpacked, path)
        return _read_with_gensim(path, path)


def _member_name(archive, path, member):
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    if member in names:
        return member
    if member is None and len(names) == 1:
        return names[0]
    raise ValueError(
        f"{path} holds {', '.join(names[:10]) or 'nothing'}. Name one of them: {str(path / 'its name')!r}"
    )


def _read_with_gensim(path, given):
    from gensim.models import KeyedVectors

    try:
        if path.suffix == ".kv":
            return KeyedVectors.load(str(path))
        return KeyedVectors.load_word2vec_format(path, binary=True, unicode_errors="replace")
    except EOFError:
        raise
    except Exception as error:  # gensim parses what it is given
        raise ValueError(
            f"{given} is no file of gensim or word2vec ({type(error).__name__}: {error}). {WANTED}."
        ) from error


def _read_text(lines, path):
    """Lines of a word and its numbers. A word may have spaces, as some of GloVe 840B's have."""
    from gensim.models import KeyedVectors

    first = lines.readline()
    header = re.fullmatch(rb"(\d+) (\d+)\s*", first)
    begin = [] if header else [first]
    begin += [line for _, line in zip(range(SAMPLED), lines, strict=False)]
    widths = [len(line.split()) - 1 for line in begin if line.strip()]
    size = int(header[2]) if header else statistics.mode(widths or [0])
    if size < 1:
        raise ValueError(f"{path} {_looks(first)}. {WANTED}.")
    words, numbers = {}, bytearray()

    def add(number, line):
        fields = line.split()
        word, values = b" ".join(fields[:-size]), _floats(fields[-size:])
        if len(fields) <= size or len(values) < size:
            what = _looks(first) if not words else f"has {len(fields) - 1} numbers in line {number}"
            raise ValueError(f"{path} {what}, where each word has {size}. {WANTED}.")
        word = word.decode("utf-8", "replace")
        if word not in words:
            words[word] = None
            numbers.extend(values.tobytes())
        return 1

    read = 0
    for group in (begin, lines):
        for line in group:
            if line.strip():
                read += add(read + 1 + bool(header), line)
    if header and read != int(header[1]):
        raise ValueError(
            f"{path} says in its first line that it has {int(header[1])} words, and has {read}: it is only "
            f"a part of a file, or its first line is wrong. {WANTED}."
        )
    vectors = KeyedVectors(size, count=0)
    vectors.add_vectors(list(words), np.frombuffer(numbers, "float32").reshape(len(words), size))
    return vectors


def _floats(fields):
    """The fields as numbers; none if one of them is no number."""
    try:
        return np.array(list(map(float, fields)), "float32")
    except ValueError:
        return np.empty(0, "float32")


def _looks(first):
    """What a file is that begins with this line."""
    text = first.decode("utf-8", "replace").strip()
    if not text:
        return "is empty"
    kind = "is a web page" if text[:1] == "<" else "has no word vectors"
    return f"{kind} (it begins with {text[:40]!r})"
