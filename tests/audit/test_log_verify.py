"""Attacks L1 to L6 and L9 on a real directory: verify finds each and names the entry."""

import random
import shutil

import pytest
from click.testing import CliRunner
from log_support import fill, first, frames, leaf, make_log, with_blob

from audit import wal
from audit.checkpoint import Head, Signer
from audit.cli import main
from audit.leaf import canonical
from audit.merkle import Tree, leaf_hash
from audit.verify import verify


@pytest.fixture
def directory(tmp_path, signer):
    log = make_log(tmp_path / "audit", signer)
    fill(log, 6, texts=True)
    for seq in (6, 7, 8):
        log.stage(leaf(seq))
    log.commit()
    log.close()
    return tmp_path / "audit"


def problem(directory, signer, **options):
    report = verify(directory, signer.verifier, **options)
    assert not report.ok
    return report.problems[0]


def rewrite(directory, found):
    (directory / "wal").write_bytes(wal.MAGIC + b"".join(whole for _, _, whole in found))


def heads(directory):
    return [whole[wal.HEADER_BYTES :] for kind, _, whole in frames((directory / "wal").read_bytes()) if kind == wal.HEAD]


def test_whole_log_is_whole(directory, signer):
    report = verify(directory, signer.verifier)
    assert (report.ok, report.size, report.heads, report.blobs, report.erased) == (True, 10, 8, 5, [])


def test_changed_byte_anywhere_is_found_and_names_its_entry(directory, signer):
    whole = (directory / "wal").read_bytes()
    choose = random.Random(3)  # noqa: S311 - the same places at each run
    entry, where = -1, []
    for kind, start, framed in frames(whole):
        entry += kind == wal.ENTRY
        # A head belongs to the last entry it seals; a frame that cannot be read any more may be that of the next entry.
        where += [(position, {entry} if kind == wal.ENTRY else {entry, entry + 1}) for position in range(start, start + len(framed))]
    for position, expected in choose.sample(where, 150):
        (directory / "wal").write_bytes(whole[:position] + bytes([whole[position] ^ (1 << choose.randrange(8))]) + whole[position + 1 :])
        assert problem(directory, signer).index in expected


def test_entry_edited_with_its_hash_is_found(directory, signer):
    found = frames((directory / "wal").read_bytes())
    number = [position for position, (kind, _, _) in enumerate(found) if kind == wal.ENTRY][3]
    edited = found[number][2][wal.HEADER_BYTES :].replace(b'"researcher"', b'"researchor"')
    found[number] = (0, 0, wal.frame(wal.ENTRY, edited))
    rewrite(directory, found)
    assert (problem(directory, signer).code, problem(directory, signer).index) == ("wal.root", 3)


def test_entry_cut_out_is_found(directory, signer):
    found = frames((directory / "wal").read_bytes())
    rewrite(directory, found[:4] + found[6:])
    assert (problem(directory, signer).code, problem(directory, signer).index) == ("wal.root", 2)


def test_reordered_entries_are_found(directory, signer):
    found = frames((directory / "wal").read_bytes())
    found[4], found[6] = found[6], found[4]
    rewrite(directory, found)
    assert (problem(directory, signer).code, problem(directory, signer).index) == ("wal.root", 2)


def test_cut_inside_the_last_batch_is_found_unless_it_is_being_written(directory, signer):
    whole = (directory / "wal").read_bytes()
    (directory / "wal").write_bytes(whole[:-30])
    assert (problem(directory, signer).code, problem(directory, signer).index) == ("wal.tail", 10)
    report = verify(directory, signer.verifier, live=True)
    assert (report.ok, report.size, report.unsigned) == (True, 7, "entry 10 is just being written")


def test_truncation_at_a_head_is_found_with_a_later_checkpoint(directory, signer):
    later = signer.verifier.open(heads(directory)[-1])
    found = frames((directory / "wal").read_bytes())
    rewrite(directory, found[:8])
    assert verify(directory, signer.verifier).ok
    assert (problem(directory, signer, at_least=later).code, problem(directory, signer, at_least=later).index) == ("log.truncated", 4)


def test_fork_is_found_with_an_earlier_checkpoint(directory, signer, tmp_path):
    earlier = signer.verifier.open(heads(directory)[3])
    assert verify(directory, signer.verifier, at_least=earlier).ok
    fork = make_log(tmp_path / "fork", signer)
    fill(fork, 9)
    fork.close()
    assert (problem(tmp_path / "fork", signer, at_least=earlier).code, problem(tmp_path / "fork", signer, at_least=earlier).index) == (
        "log.forked",
        3,
    )


def test_swapped_key_is_found(directory):
    assert problem(directory, Signer.generate("test.log")).code == "wal.signature"
    assert problem(directory, Signer.generate("other.log")).code == "wal.head"


def test_writer_that_signs_disorder_is_found(directory, signer):
    tree, content = Tree(), wal.MAGIC
    for one in (first(), leaf(2)):
        tree.append(leaf_hash(canonical(one)))
        content += wal.frame(wal.ENTRY, canonical(one)) + wal.frame(wal.HEAD, signer.sign(Head(tree.size, tree.root())))
    (directory / "wal").write_bytes(content)
    assert (problem(directory, signer).code, problem(directory, signer).index) == ("source.order", 1)


def test_blob_gone_without_a_recorded_erasure_is_a_problem_and_changed_blob_fails(directory, signer):
    blobs = sorted(path for path in (directory / "blobs").glob("*/*"))
    blobs[0].unlink()
    report = verify(directory, signer.verifier)
    assert ([one.code for one in report.problems], report.erased) == (["blob.missing"], [])
    assert report.problems[0].index in range(2, 7)
    done = run("verify", directory)
    assert (done.exit_code, f"blob.missing: entry {report.problems[0].index}" in done.output) == (1, True)
    blobs[1].write_bytes(blobs[1].read_bytes() + b"x")
    assert problem(directory, signer).code == "blob.wrong"
    assert problem(directory, signer).index in range(2, 7)


@pytest.mark.parametrize(("source", "codes"), [("operator", []), ("session:sb1", ["blob.missing"])])
def test_blob_erased_on_record_by_an_operator_is_no_problem(tmp_path, signer, source, codes):
    log = make_log(tmp_path / "audit", signer)
    log.append(first())
    one, given, blob = with_blob(1, "a name")
    log.append(one, given)
    log.append(first(source=source))
    log.append(leaf(1, "blob.erased", source=source, data={"digest": blob.digest, "ground": "order 7"}))
    log.close()
    (path,) = (tmp_path / "audit/blobs").glob(f"*/{blob.digest}")
    path.unlink()
    report = verify(tmp_path / "audit", signer.verifier)
    assert [one.code for one in report.problems] == codes
    assert [digest for _, digest in report.erased] == ([] if codes else [blob.digest])


def test_an_erasure_recorded_before_its_entry_erases_nothing(tmp_path, signer):
    log = make_log(tmp_path / "audit", signer)
    one, given, blob = with_blob(1, "a name")
    log.append(first(source="operator"))
    log.append(leaf(1, "blob.erased", source="operator", data={"digest": blob.digest}))
    log.append(first())
    log.append(one, given)
    log.close()
    next((tmp_path / "audit/blobs").glob(f"*/{blob.digest}")).unlink()
    assert problem(tmp_path / "audit", signer).code == "blob.missing"


def test_missing_log_is_not_whole(directory, signer):
    (directory / "wal").unlink()
    assert problem(directory, signer).code == "wal.missing"


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_commands_exit_0_1_2(directory, signer, tmp_path):
    vkey, checkpoint = tmp_path / "vkey", tmp_path / "checkpoint"
    vkey.write_text(signer.verifier.vkey)
    checkpoint.write_bytes(heads(directory)[-1])
    whole = run("verify", directory, "--vkey", vkey, "--at-least", checkpoint)
    assert (whole.exit_code, "whole: 10 entries" in whole.output) == (0, True)
    changed = bytearray((directory / "wal").read_bytes())
    changed[changed.index(b'"seq":2')] ^= 1
    shutil.copytree(directory, tmp_path / "copy")
    (tmp_path / "copy/wal").write_bytes(changed)
    broken = run("verify", tmp_path / "copy", "--vkey", vkey)
    assert (broken.exit_code, "entry 3" in broken.output, "NOT whole" in broken.output) == (1, True, True)
    assert run("verify", tmp_path / "nowhere").exit_code == 2
    assert run("verify").exit_code == 2
    assert run("show", directory, "--index", 99).exit_code == 1


def test_keygen_makes_a_private_key_once(tmp_path):
    arguments = ("keygen", "--key", tmp_path / "key", "--vkey", tmp_path / "vkey", "--name", "a.b")
    assert run(*arguments).exit_code == 0
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert Signer.parse((tmp_path / "key").read_text()).verifier.vkey == (tmp_path / "vkey").read_text().strip()
    assert run(*arguments).exit_code == 1
    assert run("keygen", "--key", tmp_path / "k2", "--vkey", tmp_path / "v2", "--name", "two words").exit_code == 1


def test_recorded_text_is_shown_inert(tmp_path, signer):
    log = make_log(tmp_path / "audit", signer)
    log.append(first())
    nasty = "\x1b[2J\x9b31m\u202egnp\u2028\x7f\r中"
    one, blobs, _ = with_blob(1, nasty + "\nprint(1)")
    log.append({**one, "data": {"title": nasty}}, blobs)
    log.close()
    shown = run("show", tmp_path / "audit", "--index", 2)
    assert shown.exit_code == 0
    assert not set(nasty) - {"中"} - set("[2Jgnp31m") & set(shown.output)
    assert "\\u001b[2J" in shown.output
    assert "  | print(1)" in shown.output
    assert "中" in shown.output
