"""Leaf, tree, checkpoint, token: pure rules."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from log_support import LAUNCH, clock, leaf

from audit import tokens
from audit.checkpoint import Head, Signer, Verifier
from audit.errors import Damaged, Refused
from audit.leaf import Blob, canonical, time_text
from audit.merkle import EMPTY_ROOT, Tree, inclusion_proof, leaf_hash, node_hash, root_from_proof


def test_leaf_is_rfc_8785_whatever_the_order_of_its_fields():
    one = leaf(3, data={"b": 1, "a": "表"})
    assert canonical(one) == canonical(dict(reversed(one.items())))
    assert '"data":{"a":"表","b":1}'.encode() in canonical(one)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("v", True),
        ("seq", -1),
        ("seq", True),
        ("seq", 2**53),
        ("source", "Hub"),
        ("source", "session:../x"),
        ("boot", ""),
        ("time", "2026-11-23 06:05:04"),
        ("kind", "started"),
        ("kind", "a.b\n"),
        ("actor", {"type": "robot", "id": "x"}),
        ("actor", {"type": "person"}),
        ("refs", {"colour": "red"}),
        ("refs", {"sandbox": 1}),
        ("data", []),
        ("data", {"x": float("nan")}),
        ("data", {"x": 2**60}),
        ("data", {"x": "\ud800"}),
        ("blobs", [{"name": "code"}]),
        ("blobs", [{"name": "code", "kind": "k", "size": 1, "digest": "../../etc/passwd"}]),
    ],
)
def test_bad_leaf_is_refused_and_names_its_field(field, value):
    with pytest.raises(Refused) as refused:
        canonical({**leaf(0), field: value})
    assert (refused.value.code, refused.value.params["field"]) == ("log.bad_leaf", field)


def test_unknown_and_missing_fields_are_refused():
    for bad in ({**leaf(0), "extra": 1}, {k: v for k, v in leaf(0).items() if k != "refs"}, [], None):
        with pytest.raises(Refused, match=r"log\.bad_leaf"):
            canonical(bad)


def test_leaf_has_at_most_65535_bytes():
    room = 65_535 - len(canonical(leaf(0, data={"x": ""})))
    assert len(canonical(leaf(0, data={"x": "a" * room}))) == 65_535
    with pytest.raises(Refused) as refused:
        canonical(leaf(0, data={"x": "a" * (room + 1)}))
    assert refused.value.code == "log.too_large"


def test_same_text_has_another_digest_each_time():
    one, two = Blob("code", "text", b"1+1"), Blob("code", "text", b"1+1")
    assert one.digest != two.digest
    assert one.digest == hashlib.sha256(one.salt + b"1+1").hexdigest()


def test_time_is_utc_with_milliseconds():
    assert time_text(clock()) == "2026-11-23T06:05:04.321Z"


def test_tree_gives_the_roots_of_rfc_6962():
    tree = Tree()
    assert tree.root() == EMPTY_ROOT
    a, b, c = (leaf_hash(bytes([n])) for n in range(3))
    for hashed, root in ((a, a), (b, node_hash(a, b)), (c, node_hash(node_hash(a, b), c))):
        tree.append(hashed)
        assert tree.root() == root


def test_known_vector_of_certificate_transparency():
    tree = Tree()
    for hexed in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"):
        tree.append(leaf_hash(bytes.fromhex(hexed)))
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(st.integers(1, 70), st.data())
def test_inclusion_proofs_lead_to_the_root(size, data):
    hashes = [leaf_hash(bytes([n])) for n in range(size)]
    tree = Tree()
    for hashed in hashes:
        tree.append(hashed)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, hashes)
    assert root_from_proof(index, size, hashes[index], proof) == tree.root()
    assert root_from_proof(index, size, leaf_hash(b"other"), proof) != tree.root()


def test_checkpoint_is_a_c2sp_note_and_only_its_key_opens_it(signer):
    head = Head(7, hashlib.sha256(b"x").digest())
    note = signer.sign(head)
    assert note.decode().startswith(f"test.log\n7\n{base64.b64encode(head.root).decode()}\n\n— test.log ")
    assert Verifier.parse(signer.verifier.vkey).open(note) == head
    with pytest.raises(Damaged) as damaged:
        Signer.generate("test.log").verifier.open(note)
    assert damaged.value.code == "log.bad_head"


def test_no_changed_byte_of_a_checkpoint_goes_unseen(signer):
    note = signer.sign(Head(7, hashlib.sha256(b"x").digest()))
    for position in range(len(note)):
        changed = bytearray(note)
        changed[position] ^= 1
        with pytest.raises(Damaged):
            signer.verifier.open(bytes(changed))


def test_keys_come_back_from_their_text_and_bad_ones_do_not(signer):
    assert Signer.parse(signer.text).verifier.vkey == signer.verifier.vkey
    for text in ("", "a+b+c", signer.verifier.vkey, signer.text.replace("test", "best")):
        with pytest.raises(Damaged) as damaged:
            Signer.parse(text)
        assert damaged.value.code == "log.bad_key"
        assert signer.text.rsplit("+", 1)[1] not in str(damaged.value)


def test_go_sumdb_key_is_read_as_others_read_it():
    vkey = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert Verifier.parse(vkey).vkey == vkey


def test_session_token_speaks_for_its_sandbox_and_boot_until_it_ends():
    token = tokens.sign(LAUNCH, sandbox="sb1", boot="b7", exp=1000)
    session = tokens.verify(token, LAUNCH.public_key(), 999.9)
    assert (session.source, session.boot) == ("session:sb1", "b7")
    with pytest.raises(tokens.TokenError, match="token_expired"):
        tokens.verify(token, LAUNCH.public_key(), 1000)


def test_token_of_another_key_or_changed_is_invalid():
    token = tokens.sign(LAUNCH, sandbox="sb1", boot="b7", exp=1000)
    other = tokens.sign(Ed25519PrivateKey.generate(), sandbox="sb1", boot="b7", exp=1000)
    for bad in (other, token[:-3], "x" + token, "", ".", "a.b.c", "x" * 5000, token.replace(".", "..")):
        with pytest.raises(tokens.TokenError, match="token_invalid"):
            tokens.verify(bad, LAUNCH.public_key(), 0)
