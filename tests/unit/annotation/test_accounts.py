from __future__ import annotations

import errno
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from data_engine.annotation import accounts
from data_engine.annotation.accounts import Accounts
from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, StorageFullError, UsageError


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(accounts, "_N", 2**4)
    return tmp_path / ".dataengine" / "accounts.json"


@pytest.fixture
def kept(file):
    made = Accounts(file)
    made.add("anna", "Anna@example.com", "password of anna", "annotator")
    made.add("rita", "rita@example.com", "password of rita", "reviewer")
    return made


def test_the_work_of_a_check_is_what_its_source_says():
    """OWASP Password Storage Cheat Sheet: scrypt with 32 MiB, N = 2**15, r = 8, p = 3."""
    assert (accounts._N, accounts._R, accounts._P) == (2**15, 8, 3)
    hashed = accounts._hashed("x")
    assert (hashed.n, hashed.r, hashed.p) == (2**15, 8, 3)


def test_a_password_is_its_owner_s(kept):
    assert kept.checked("anna", "password of anna").name == "anna"
    assert kept.checked("ANNA@EXAMPLE.COM", "password of anna").name == "anna"
    for name, password in (("anna", "password of rita"), ("anna", ""), ("nobody", ""), ("", ""), ("anna", "\ud800")):
        assert kept.checked(name, password) is None


def test_hashes_made_with_other_parameters_are_still_good(kept, file, monkeypatch):
    monkeypatch.setattr(accounts, "_N", 2**6)
    assert kept.checked("anna", "password of anna") is not None
    kept.set_password("anna", "another")
    assert {account["password"]["n"] for account in json.loads(file.read_text())["accounts"]} == {2**4, 2**6}
    assert kept.checked("anna", "another") is not None


def test_the_same_password_is_kept_differently_each_time(kept):
    kept.add("ben", "ben@example.com", "password of anna", "annotator")
    anna, ben = kept.named("anna"), kept.named("ben")
    assert anna.password.hash != ben.password.hash
    before = anna.mark
    assert kept.set_password("anna", "password of anna").mark != before


def test_only_the_owner_reads_the_file_also_where_everybody_may_read(kept, file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = os.umask(0)
    try:
        kept.set_password("anna", "another")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["accounts.json", "accounts.json.lock"]


def test_a_name_and_an_address_are_had_once(kept):
    for name, email in (("ANNA", "x@example.com"), ("x", "anna@EXAMPLE.com"), ("rita@example.com", "y@example.com")):
        with pytest.raises(ConflictError, match="already"):
            kept.add(name, email, "long enough", "annotator")
    assert len(kept.all()) == 2


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "a\x00", "x" * 65])
def test_a_name_that_is_none(kept, name):
    with pytest.raises(UsageError, match="not a name to log in with"):
        kept.add(name, "x@example.com", "long enough", "annotator")


def test_tokens_are_many_and_taken_back_together(kept, file):
    _account, one = kept.new_token("anna")
    account, other = kept.new_token("anna")
    assert len(account.tokens) == 2
    assert {kept.of_token(token).name for token in (one, other)} == {"anna"}
    assert one not in file.read_text()
    assert kept.of_token(one[:-1]) is None
    assert kept.of_token("") is None
    kept.without_tokens("anna")
    assert kept.of_token(one) is None


def test_who_is_not_there_cannot_be_changed(kept):
    for change in (kept.remove, kept.new_token, kept.without_tokens, lambda name: kept.set_password(name, "x")):
        with pytest.raises(MissingInputError, match="there is no account 'ben'"):
            change("ben")


def test_a_number_is_not_given_twice(kept):
    removed = kept.remove("rita")
    again = kept.add("rita", "rita@example.com", "password of rita", "reviewer")
    assert again.id > removed.id


def test_what_another_process_changed_is_seen(kept, file):
    other = Accounts(file)
    assert len(other.all()) == 2
    kept.add("ben", "ben@example.com", "long enough", "annotator")
    assert len(other.all()) == 3
    file.unlink()
    assert other.all() == ()


def test_all_of_many_that_come_at_once_are_kept(kept, file):
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda n: Accounts(file).add(f"p{n}", f"p{n}@example.com", "long enough", "annotator"), range(24))
        )
    assert len({account.id for account in Accounts(file).all()}) == 26


@pytest.mark.parametrize("data", [b"", b"{", b'{"accounts": [{"name": "x"}]}', b"\xff\xfe"])
def test_a_damaged_file_lets_nobody_in(kept, file, data):
    file.write_bytes(data)
    for ask in (kept.all, lambda: kept.of_token("x"), lambda: kept.checked("anna", "password of anna")):
        with pytest.raises(DamagedInputError, match=r"accounts\.json cannot be read"):
            ask()
    with pytest.raises(DamagedInputError):
        kept.add("ben", "ben@example.com", "long enough", "annotator")
    assert file.read_bytes() == data


def test_a_file_that_cannot_be_written_is_an_expected_error(kept, file, monkeypatch):
    before = file.read_bytes()
    for number, kind in ((errno.ENOSPC, StorageFullError), (errno.EACCES, DamagedInputError)):

        def refuse(*_arguments, number=number):
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(accounts.os, "replace", refuse)
            with pytest.raises(kind, match=r"accounts\.json"):
                kept.set_password("anna", "another")
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["accounts.json", "accounts.json.lock"]
    assert kept.checked("anna", "password of anna") is not None
