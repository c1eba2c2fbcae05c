"""What an item is, as numbers: words of its texts, its genres and other categories, its vector.

A text is a column whose cells are sentences or titles: its words, in lower case, whichever column they are
from, count by how rare they are (inverse document frequency, Sparck Jones 1972). A category is a genre or any
other short word: each value of each column is a feature of its own. Numbers, times, regions and what is in
stock are left out: they say when and where an item is shown, not what it is.

A feature counts only where enough items that somebody watched have it: from the others nothing is learnt.
Texts and each column of categories have length 1 together, so that a long description says no more than a
short one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from matinee.core.types import Bool, Float32, Int64
from matinee.data.vocabulary import Vocabulary

_ASIDE = frozenset({"id", "available_from", "available_until", "regions", "in_stock", "hidden"})
# Watched items that must have a feature, and the most features that are kept: those that most items have.
_LEAST = 3
MOST_FEATURES = 20_000
# Words of a cell from which on a column is a text, on average over its cells.
_TEXT_WORDS = 3.0
# What parts a category's column from its value; no word has it.
_SIGN = "="


@dataclass(frozen=True, kw_only=True)
class Features:
    """The features that a fit knows.

    Attributes:
        names: words as they are, categories as `column=value`.
        columns: the columns that are categories; any other one with strings is a text.
        weights: float32, shape (features,): what each counts within its text or column.
        mean: float32, shape (width of vectors,): what is taken off a vector; empty where items have none.
    """

    names: Vocabulary
    columns: tuple[str, ...]
    weights: Float32
    mean: Float32


@dataclass(frozen=True, kw_only=True)
class Content:
    """What items are.

    Attributes:
        shares: scipy CSR float32, shape (items, features).
        vectors: float32, shape (items, width): length 1 each, or zeros; width 0 where items have none.
    """

    shares: Any
    vectors: Float32

    @property
    def described(self) -> Bool:
        """Which items anything is known of: bool, shape (items,)."""
        return np.asarray((np.diff(self.shares.indptr) > 0) | self.vectors.any(axis=1))


def is_described(table: pa.Table) -> bool:
    """Whether a table says in words what any item is, beside its id."""
    told = _told(table)
    if told != ["title"]:
        return bool(told)
    titles, ids = (_strings(table.column(name)) for name in ("title", "id"))
    return bool(pc.any(pc.not_equal(titles, ids)).as_py())


def told_bytes(table: pa.Table) -> int:
    """Bytes of what a table says in words."""
    return sum(int(table.column(name).nbytes) for name in _told(table))


def fingerprint_content(table: pa.Table, vectors: Float32 | None) -> str:
    """SHA-256 (hex) of all that items can be known by, beside their ids."""
    digest = hashlib.sha256()
    for name in _told(table):
        owners, cells = _cells(table.column(name))
        digest.update(name.encode())
        digest.update(owners.data)
        digest.update(np.asarray(pc.binary_length(cells)).astype(np.int64).data)
        digest.update("".join(cells.to_pylist()).encode())
    if vectors is not None:
        digest.update(np.ascontiguousarray(vectors).data)
    return digest.hexdigest()


def learn_features(table: pa.Table, vectors: Float32 | None, watched: Bool) -> Features:
    """The features that are worth learning from.

    Args:
        table: one row an item, as `InteractionLog.item_table`.
        vectors: float32, shape (items, width), NaN rows where an item has none; or None.
        watched: bool, shape (items,): which items somebody watched.
    """
    columns = tuple(name for name in _told(table) if _is_category(table.column(name), name))
    rows, names = _named(table, columns)
    encoded = names.dictionary_encode()
    codes, words = np.asarray(encoded.indices, dtype=np.int64), encoded.dictionary
    pairs = np.unique(rows * max(len(words), 1) + codes)
    having, codes = pairs // max(len(words), 1), pairs % max(len(words), 1)
    counts = np.bincount(codes, minlength=len(words))
    taught = np.bincount(codes[watched[having]], minlength=len(words))
    kept = np.flatnonzero(taught >= _LEAST)
    kept = np.sort(kept[np.argsort(-taught[kept], kind="stable")[:MOST_FEATURES]])
    vocabulary = Vocabulary(words.take(pa.array(kept)))
    weights = np.log(1.0 + table.num_rows / np.maximum(counts[kept], 1)).astype(np.float32)
    weights[_columns(vocabulary.arrow) > 0] = 1.0
    return Features(names=vocabulary, columns=columns, weights=weights, mean=_mean(vectors, watched))


def content_of(table: pa.Table, vectors: Float32 | None, features: Features) -> Content:
    """What some items are, by features that are known; whatever else they have counts for nothing.

    Args:
        table: one row an item.
        vectors: float32, shape (items, width), NaN rows where an item has none; or None.
        features: those that are known.
    """
    n, width = table.num_rows, len(features.names)
    rows, names = _named(table, features.columns)
    codes = np.asarray(features.names.codes(names), dtype=np.int64)
    pairs = np.unique(rows[codes >= 0] * max(width, 1) + codes[codes >= 0])
    rows, codes = pairs // max(width, 1), pairs % max(width, 1)
    blocks = _columns(features.names.arrow)
    of_block = rows * (int(blocks.max(initial=0)) + 1) + blocks[codes]
    weights = features.weights[codes].astype(np.float64)
    lengths = np.sqrt(np.bincount(of_block, weights=weights**2))
    shares = (weights / np.maximum(lengths[of_block], 1e-12)).astype(np.float32)
    return Content(
        shares=sparse.csr_matrix((shares, (rows, codes)), shape=(n, width)),
        vectors=_directions(vectors, features.mean, n),
    )


def _named(table: pa.Table, categories: Collection[str]) -> tuple[Int64, pa.Array]:
    """Every feature of every item: rows int64, and names as Arrow strings.

    Args:
        table: one row an item.
        categories: which columns are categories.
    """
    rows: list[Int64] = [np.zeros(0, np.int64)]
    names: list[pa.Array] = [pa.array([], pa.large_string())]
    for name in _told(table):
        owners, cells = _cells(table.column(name))
        if name == "title":
            # An item without a title is called by its id, which says nothing.
            said = np.asarray(pc.not_equal(cells, _strings(table.column("id").take(pa.array(owners)))))
            owners, cells = owners[said], cells.filter(pa.array(said))
        if name in categories:
            rows.append(owners)
            names.append(_valued(name, cells))
        else:
            words = _words(cells)
            rows.append(np.repeat(owners, np.asarray(pc.list_value_length(words), dtype=np.int64)))
            names.append(words.flatten())
    found, said = np.concatenate(rows), pa.concat_arrays(names)
    there = np.asarray(pc.not_equal(said, ""))
    return found[there], said.filter(pa.array(there))


def _told(table: pa.Table) -> list[str]:
    """The columns that say in words what an item is."""
    return [name for name in table.column_names if name not in _ASIDE and _is_told(table.column(name).type)]


def _is_told(kind: Any) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_category(column: Any, name: str) -> bool:
    """Whether a column's cells are lists, or short."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return True
    words = pc.mean(pc.list_value_length(_words(_cells(column)[1]))).as_py()
    return name != "title" and (words or 0.0) < _TEXT_WORDS


def _cells(column: Any) -> tuple[Int64, Any]:
    """The strings of a column that are there, and whose row each is."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        owners = np.asarray(pc.list_parent_indices(array), dtype=np.int64)
        array = array.flatten()
    else:
        owners = np.arange(len(array))
    there = np.asarray(pc.is_valid(array))
    return owners[there], _strings(array).filter(pa.array(there))


def _strings(array: Any) -> Any:
    whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return whole.cast(pa.large_string())


def _words(cells: Any) -> Any:
    """The words of texts in lower case, as lists: whatever is no letter and no digit parts them."""
    plain = pc.replace_substring_regex(pc.utf8_lower(cells), r"[^\p{L}\p{N}]+", " ")
    return pc.utf8_split_whitespace(pc.utf8_trim_whitespace(plain))


def _valued(column: str, cells: Any) -> Any:
    """Names of a column's values; empty where a value is."""
    plain = pc.utf8_trim_whitespace(pc.replace_substring_regex(pc.utf8_lower(cells), r"\s+", " "))
    nothing, sign = pa.scalar("", pa.large_string()), pa.scalar(_SIGN, pa.large_string())
    named = pc.binary_join_element_wise(pa.scalar(_head(column), pa.large_string()), plain, sign)
    return pc.if_else(pc.equal(plain, ""), nothing, named)


def _head(column: str) -> str:
    """A column's name as it stands before the sign."""
    return " ".join(column.replace(_SIGN, " ").split())


def _heads(names: Any) -> Any:
    """The column that each name is of, as Arrow strings; empty for the words of texts."""
    head = pc.replace_substring_regex(names, rf"(?s){_SIGN}.*$", "")
    return pc.if_else(pc.match_substring(names, _SIGN), head, pa.scalar("", pa.large_string()))


def _columns(names: Any) -> Int64:
    """The column that each name is of: int64, shape (names,); 0 for the words of texts."""
    encoded = _heads(names).dictionary_encode()
    codes = np.asarray(encoded.indices, dtype=np.int64) + 1
    text = encoded.dictionary.to_pylist()
    if "" in text:
        codes[codes == text.index("") + 1] = 0
    return codes


def _mean(vectors: Float32 | None, watched: Bool) -> Float32:
    if vectors is None:
        return np.zeros(0, np.float32)
    known = vectors[watched & ~np.isnan(vectors).any(axis=1)]
    return np.asarray(known.mean(axis=0) if len(known) else np.zeros(vectors.shape[1]), dtype=np.float32)


def _directions(vectors: Float32 | None, mean: Float32, n: int) -> Float32:
    """Vectors less their mean, of length 1: float32, shape (items, width); zeros where there is none."""
    if vectors is None or not len(mean):
        return np.zeros((n, len(mean)), np.float32)
    away = np.nan_to_num(vectors - mean)
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)
    return np.asarray(away, dtype=np.float32)
