"""Word vectors from the files that people have, as gensim's `KeyedVectors`."""

import codecs
import contextlib
import gzip
import io
import itertools
import pathlib
import re
import statistics
import warnings
import zipfile
import zlib

import numpy as np

from pls_keras._extras import require

WANTED = (
    "Wanted: a text of GloVe or word2vec, a line a word and then its numbers, as it is or compressed (.gz, "
    ".zip); word2vec's .bin or .bin.gz; or what gensim's KeyedVectors.save wrote (.kv)"
)
SAMPLED = 1_000  # lines that say of how many numbers a vector is
LONGEST = 1 << 20  # bytes of a first line; a file that holds no lines is not read to its end
HEADER = re.compile(rb"(\d+)\s+(\d+)\s*")  # word2vec's: how many words, of how many numbers
NUMBER = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # bytes that no text has
BESIDE = re.compile(r"(^|/)(__MACOSX/|\.|readme|licen[cs]e)", re.IGNORECASE)  # members of an archive
KINDS = {  # what a file is that begins so
    b"<": "is a web page",
    b"version https://git-lfs": "is a pointer of Git LFS, which `git lfs pull` replaces by the file",
    b"\x80": "is a pickle, which is loaded only as a file named .kv that gensim's KeyedVectors.save wrote",
    b"\x93NUMPY": "is an array of NumPy, without words",
    b"\xba\x16O/": "is a model of fastText, whose vectors are in its .vec",
    b"\xff\xfe": "is text in UTF-16; save it in UTF-8",
}


def load_vectors(source):
    """Word vectors from a file or from gensim's collection.

    Args:
        source: path of a text file of GloVe or word2vec, of word2vec's binary form, of either compressed
            as ".gz" or ".zip", or of what `KeyedVectors.save` wrote (".kv"); or a name that
            `gensim.downloader` knows, such as "glove-wiki-gigaword-300", which is downloaded once.
            A file among several of a ".zip" is "glove.6B.zip/glove.6B.100d.txt". What a file is its
            content says, not its name, but for one: a ".kv" is a pickle,
            which can run any program when it is loaded: load none that you did not write.

    Returns:
        gensim's `KeyedVectors`; its `name` goes into the provenance of a theta. Of a word that comes
        twice the first vector counts. A word that is no UTF-8 is read as Latin-1, and a warning says
        how many these are.

    Raises:
        FileNotFoundError: if there is no such file, and the name cannot be had from gensim either.
        ImportError: if the extra "text" is not installed.
        ValueError: if the file holds no word vectors, or only a part of them; it says what it holds.
    """
    require("text", "gensim")
    path, member = _archive_member(pathlib.Path(source))
    if path.is_dir():
        raise ValueError(f"{str(source)!r} is a folder. Give the path of a file in it. {WANTED}.")
    if path.is_file():
        try:
            vectors = _read(path, member)
        except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{source} is damaged or only a part of a file ({error}): get it again. {WANTED}."
            ) from error
        vectors.name = re.sub(r"(\.(txt|vec|bin|kv|gz|zip))+$", "", pathlib.Path(source).name)
        return vectors
    vectors = _from_gensim(source)
    vectors.name = str(source)
    return vectors


def fetch_vectors(source):
    """See to it that word vectors are on the disk: what gensim knows by name is downloaded. Reads nothing.

    Args:
        source: as for `load_vectors`.

    Raises:
        FileNotFoundError: as `load_vectors`.
        ImportError: as `load_vectors`.
    """
    require("text", "gensim")
    if not _archive_member(pathlib.Path(source))[0].is_file():
        _from_gensim(source, return_path=True)


def _from_gensim(source, **kwargs):
    import gensim.downloader  # takes a second, and few programs load vectors

    try:
        return gensim.downloader.load(str(source), **kwargs)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"No file {str(source)!r}, and gensim.downloader could not load vectors of this name "
            f"({error}). Give the path of a GloVe or word2vec file, or with a network a name "
            "such as 'glove-wiki-gigaword-300'."
        ) from error


def _archive_member(path):
    """A path, or an archive in it and what is named within."""
    for archive in path.parents:
        if archive.suffix == ".zip" and archive.is_file():
            return archive, path.relative_to(archive).as_posix()
    return path, None


def _read(path, member):
    if path.suffix == ".kv":
        return _read_pickle(path)
    with contextlib.ExitStack() as stack:
        with path.open("rb") as file:
            start = file.read(2)
        if start == b"PK":
            archive = stack.enter_context(zipfile.ZipFile(path))
            content = stack.enter_context(archive.open(_member_name(archive, path, member)))
        else:
            opened = gzip.open if start == b"\x1f\x8b" else open
            content = stack.enter_context(opened(path, "rb"))
        return _read_words(stack.enter_context(io.BufferedReader(content)), path)


def _member_name(archive, path, member):
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    if member in names:
        return member
    candidates = [name for name in names if not BESIDE.search(name)]
    if member is None and len(candidates) == 1:
        return candidates[0]
    if not names:
        raise ValueError(f"{path} is an archive that holds nothing. {WANTED}.")
    raise ValueError(f"{path} holds {', '.join(names[:10])}. Name one of them: {str(path / 'its name')!r}")


def _read_pickle(path):
    from gensim.models import KeyedVectors  # takes a second, and few programs load vectors

    try:
        vectors = KeyedVectors.load(str(path))
        return getattr(vectors, "wv", vectors)  # of a whole model
    except Exception as error:  # a pickle fails in any way
        raise ValueError(
            f"{path} is no file of gensim's ({type(error).__name__}: {error}). {WANTED}."
        ) from error


def _read_words(content, path):
    """Vectors of a text or of word2vec's binary form, whose words and numbers are read alike."""
    from gensim.models import KeyedVectors

    if content.peek(3)[:3] == codecs.BOM_UTF8:
        content.read(3)
    while (first := content.readline(LONGEST)).isspace():
        pass
    header = HEADER.fullmatch(first)
    count, size = map(int, header.groups()) if header else (None, None)
    if header and size and CONTROL.search(content.peek()):
        read = _binary_words(content, count, size)
    else:
        begin = [] if header else [first]
        begin += itertools.islice(content, SAMPLED)
        widths = [len(line.split()) - 1 for line in begin if line.strip()]
        size = size if header else statistics.mode(widths or [0])
        if size < 1:
            raise ValueError(f"{path} {_looks(first)}. {WANTED}.")
        read = _text_words(itertools.chain(begin, content), size, header, path, first)
    words, numbers, foreign, received = {}, bytearray(), [], 0
    for word, vector in read:
        received += 1
        try:
            word = word.decode()
        except UnicodeDecodeError:
            word = word.decode("latin-1")
            foreign.append(word)
        if word not in words:
            words[word] = None
            numbers.extend(vector)
    if header and (received != count or content.read(2).strip()):
        more = "more" if received == count else received
        raise ValueError(
            f"{path} says in its first line that it has {count} words of {size} numbers, and has {more}: "
            f"its first line is wrong, or it is only a part of a file. {WANTED}."
        )
    if foreign:
        warnings.warn(
            f"{len(foreign)} of the {received} words of {path} are not in UTF-8, and were read as Latin-1, "
            f"such as {foreign[0]!r}.",
            stacklevel=4,
        )
    vectors = KeyedVectors(size, count=0)
    vectors.add_vectors(list(words), np.frombuffer(numbers, "float32").reshape(len(words), size))
    return vectors


def _text_words(lines, size, header, path, first):
    """Words and the bytes of their vectors. A word may have spaces, as some of GloVe 840B's have."""
    for number, line in enumerate(lines, 2 if header else 1):
        fields = line.split()
        if not fields:
            continue
        word, values = fields[:-size], _floats(fields[-size:])
        if not word or len(values) < size or (word[1:] and NUMBER.fullmatch(word[-1])):
            if number == 1 and len(values) < size:
                raise ValueError(f"{path} {_looks(first)}. {WANTED}.")
            raise ValueError(
                f"{path} has in line {number} {len(fields)} parts, {_text(line)!r}, and not a word and "
                f"then {size} numbers. {WANTED}."
            )
        yield b" ".join(word), values.tobytes()


def _binary_words(content, count, size):
    """Words and the bytes of their vectors: a word, a space, numbers of 4 bytes, and maybe a line's end."""
    for _ in range(count):
        word = b""
        while not word.endswith(b" "):
            ahead = content.peek()
            word += content.read(ahead.find(b" ") + 1 or len(ahead))
            if not ahead or len(word) > LONGEST:
                raise EOFError("it ends within a word")
        vector = content.read(4 * size)
        if len(vector) < 4 * size:
            raise EOFError("it ends within a vector")
        yield word.strip(), vector


def _floats(fields):
    """The fields as numbers; none if one of them is no number."""
    try:
        return np.array(list(map(float, fields)), "float32")
    except ValueError:
        return np.empty(0, "float32")


def _looks(first):
    """What a file is that begins with this line."""
    start = first.strip()
    if not start:
        return "is empty"
    kind = next((said for sign, said in KINDS.items() if start.startswith(sign)), "has no word vectors")
    return f"{kind} (it begins with {_text(start)!r})"


def _text(line):
    return line.decode("utf-8", "replace").strip()[:40]
