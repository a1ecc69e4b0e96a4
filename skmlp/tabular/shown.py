"""What members are shown of a row: its encoding, and what the nearest rows and trees say.

The law: of a training row nothing is shown that its own target has a part in; and however many rows
there are, encoded ones take the memory of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..training.processes import Shared
from .columns import Table
from .encoding import Encoding
from .forest import Forest
from .neighbors import Neighbors

BLOCK_BYTES = 1 << 28  # of encoded rows


@dataclass(frozen=True, eq=False)
class Sight:
    """What members of one kind are shown of any row.

    Attributes
    ----------
    encoding : Encoding
        The numbers that stand for a row.
    neighbors : Neighbors or None
        Where the targets of the nearest rows come from.
    forest : Forest or None
        What answers by the leaves that a row falls in.
    boosted : Forest or None
        The same of trees that correct each other.
    """

    encoding: Encoding
    neighbors: Neighbors | None = None
    forest: Forest | None = None
    boosted: Forest | None = None

    @property
    def is_more_than_encoding(self) -> bool:
        """Whether members are shown more of a row than its encoding."""
        return any(x is not None for x in (self.neighbors, self.forest, self.boosted))

    def columns(self, table: Table) -> np.ndarray:
        """Compute what is shown of new rows, codes last."""
        return self.beside(table, self.further(table))

    def further(self, table: Table) -> np.ndarray:
        """Compute the columns beside the encoding of new rows."""
        found = [np.empty((len(table.numbers), 0), np.float32)]
        if self.is_more_than_encoding:
            plain = self.encoding.plain(table)
        if self.neighbors is not None:
            found.append(self.neighbors.columns(self.dense(plain)))
        found += [
            trees.answers(plain) for trees in (self.forest, self.boosted) if trees is not None
        ]
        return np.concatenate(found, axis=1)

    def dense(self, plain: np.ndarray) -> np.ndarray:
        """Return the plain columns that distances are of: all but codes."""
        return plain[:, : self.encoding.n_plain]

    def beside(
        self, table: Table, further: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Put the encoding of rows and further columns side by side, codes last."""
        encoding, (n, k) = self.encoding, further.shape
        shown = np.empty((n, encoding.n_columns + k), np.float32) if out is None else out
        n_codes = len(encoding.embedded)
        dense, beside = encoding.n_columns - n_codes, encoding.n_columns - n_codes + k
        encoding.write(table, shown[:, :dense])
        shown[:, dense:beside] = further
        shown[:, beside:] = encoding.codes(table)
        return shown


class Shown:
    """Rows as they are shown, in as many blocks as it takes; every block is a sample of the rows.

    Parameters
    ----------
    table : Table
        The rows, in an order as if drawn at random.
    sight : Sight
        What is shown of them.
    further : ndarray of shape (n, k)
        The columns beside the encoding.
    folder : str or None, default=None
        Where other processes find them, where these are to.

    Attributes
    ----------
    n_columns : int
        How many columns there are.
    n_blocks : int
        How many blocks the rows are in.
    """

    def __init__(
        self, table: Table, sight: Sight, further: np.ndarray, folder: str | None = None
    ) -> None:
        self._table, self._sight, self._further = table, sight, further
        self.n_columns = sight.encoding.n_columns + further.shape[1]
        self.n_blocks = max(1, -(-4 * len(further) * self.n_columns // BLOCK_BYTES))
        self._folder, self._latest = folder, -1
        self._block: Shared | None = None

    def block(self, i: int) -> Shared:
        """Compute what is shown of a block, where the one before it was, or return the latest."""
        rows = slice(i, None, self.n_blocks)
        n = len(range(*rows.indices(len(self._further))))
        if self._block is None:
            n_most = -(-len(self._further) // self.n_blocks)
            self._block = Shared((n_most, self.n_columns), np.float32, self._folder)
        block = self._block.first(n)
        if i != self._latest:
            self._latest = -1
            self._sight.beside(self._table.rows(rows), self._further[rows], block.array)
            self._latest = i
        return block

    def sample(self, rows: np.ndarray) -> Shared:
        """Compute what is shown of some rows."""
        sample = Shared((len(rows), self.n_columns), np.float32, self._folder)
        self._sight.beside(self._table.rows(rows), self._further[rows], sample.array)
        return sample

    def let_go(self) -> None:
        """Let go of the latest block."""
        self._block, self._latest = None, -1

    def within(self, i: int, rows: np.ndarray) -> np.ndarray:
        """Return those of some rows that are in a block, by their places there."""
        if self.n_blocks == 1:
            return rows
        return rows[rows % self.n_blocks == i] // self.n_blocks

    def numbers(self, i: int, places: np.ndarray) -> np.ndarray:
        """Return the numbers of the rows in some places of a block."""
        return places * self.n_blocks + i
