"""The Merkle tree of RFC 6962, section 2.1: grows by one leaf hash, gives its root, keeps log2(size) hashes."""

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of one leaf: the prefix 0x00 keeps leaves and nodes apart."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node, prefix 0x01."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree. Only the roots of the complete subtrees on its right edge are kept, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def append(self, hashed: bytes) -> None:
        """Add a leaf hash: one merge for each trailing one bit of the size."""
        size = self.size
        while size & 1:
            hashed = node_hash(self._edge.pop(), hashed)
            size >>= 1
        self._edge.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        """Root of all leaves so far."""
        if not self._edge:
            return EMPTY_ROOT
        root = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            root = node_hash(left, root)
        return root


def inclusion_proof(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """PATH(index, hashes) of RFC 6962, section 2.1.1: the siblings from the leaf up."""
    if not 0 <= index < len(hashes):
        raise IndexError(index)
    if len(hashes) == 1:
        return []
    split = _split(len(hashes))
    if index < split:
        return [*inclusion_proof(index, hashes[:split]), _root(hashes[split:])]
    return [*inclusion_proof(index - split, hashes[split:]), _root(hashes[:split])]


def root_from_proof(index: int, size: int, hashed: bytes, proof: Sequence[bytes]) -> bytes:
    """Root that a proof leads to. ValueError if the proof has the wrong length for this index and size (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise ValueError("index outside the tree")
    node, last, root = index, size - 1, hashed
    for sibling in proof:
        if last == 0:
            raise ValueError("proof too long")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ValueError("proof too short")
    return root


def _split(size: int) -> int:
    return int(1 << (size - 1).bit_length() - 1)


def _root(hashes: Sequence[bytes]) -> bytes:
    tree = Tree()
    for hashed in hashes:
        tree.append(hashed)
    return tree.root()
