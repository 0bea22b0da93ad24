"""Exported and verified by command."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from tiny_patch import make_base, make_patch

pytest.importorskip("cyclonedx")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base and its patch, in the working directory."""
    monkeypatch.chdir(tmp_path)
    make_patch(make_base(tmp_path / "base"), head=True).save(tmp_path / "p")
    return tmp_path


def test_export_without_a_key(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["patch", "export", "p", "base", "-o", "out"], capsys)
    assert (tree["folder"], tree["signature"]) == (str(here / "out"), None)
    assert "signed:   no" in printed_text(["patch", "export", "p", "base", "-o", "other", "--name", "mine"], capsys)
    assert '"name": "mine"' in Path("other/bom.cdx.json").read_text()
    assert "exists already" in failure(["patch", "export", "p", "base", "-o", "out"], capsys)


def test_signed_and_verified(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("OpenSSL", reason="model-signing imports pyOpenSSL")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP384R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    Path("key.pem").write_bytes(private)
    Path("key.pub").write_bytes(public)
    Path("word").write_text("word\n")
    signing = ["--key", "key.pem", "--password-file", "word"]
    tree = printed_json(["patch", "export", "p", "base", "-o", "out", *signing], capsys)
    assert tree["signature"] == str(here / "out.sig")
    assert printed_json(["patch", "verify", "out", "--key", "key.pub"], capsys)["files"] == tree["files"]
    assert printed_text(["patch", "verify", "out", "--key", "key.pub"], capsys).startswith("verified: ")
    Path("out/config.json").write_text("{}")
    assert "is not what was signed" in failure(["patch", "verify", "out", "--key", "key.pub"], capsys, 4)
    told = failure(["patch", "verify", "out", "--key", "key.pub", "--signature", "gone"], capsys)
    assert told.startswith("gone: no such file")
