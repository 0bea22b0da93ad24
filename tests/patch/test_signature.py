"""A signature over every file: nothing changed, missing, added or left out passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tiny_patch import make_base, make_patch
from zogan.errors import IntegrityError, ZoganError
from zogan.patch.export import export_patch
from zogan.patch.signature import sign_export, verify_export

pytest.importorskip("OpenSSL", reason="model-signing imports pyOpenSSL")
pytest.importorskip("model_signing")


def write_keys(folder: Path, name: str = "key", password: bytes | None = None) -> tuple[Path, Path]:
    """A pair of keys on P-256: the private file, the public one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pem").write_bytes(private)
    (folder / f"{name}.pub").write_bytes(public)
    return folder / f"{name}.pem", folder / f"{name}.pub"


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A signed folder; its signature, and the public key, lie beside it."""
    base = make_base(tmp_path / "base")
    (base / ".gitattributes").write_text("x")
    make_patch(base, head=True).save(tmp_path / "p")
    private, _ = write_keys(tmp_path)
    done = export_patch(tmp_path / "p", base, tmp_path / "out", key=private)
    assert done.signature == tmp_path / "out.sig"
    assert not list(tmp_path.glob(".*"))
    return tmp_path / "out"


def proved(folder: Path, key: str = "key.pub") -> int:
    return verify_export(folder, folder.with_name("out.sig"), folder.parent / key)


def test_what_was_signed_is_proved(exported: Path) -> None:
    assert proved(exported) == sum(path.is_file() for path in exported.rglob("*"))
    exported.rename(exported.parent / "elsewhere")
    assert proved(exported.parent / "elsewhere") > 5


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "config.json").write_text("{}"),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "more.py").write_text("import os"),
        lambda folder: (folder / ".gitignore").write_text("*"),
        lambda folder: (folder / ".gitattributes").write_text("y"),
        lambda folder: (folder / "1_Pooling" / ".hidden").write_text("y"),
        lambda folder: (folder / "link").symlink_to(folder / "config.json"),
        lambda folder: folder.with_name("out.sig").write_text("{}"),
    ],
)
def test_any_other_folder_is_refused(exported: Path, harm: Callable[[Path], object]) -> None:
    harm(exported)
    with pytest.raises(IntegrityError, match="is not what was signed"):
        proved(exported)


def test_files_that_differ_are_named(exported: Path) -> None:
    (exported / "config.json").write_text("{}")
    (exported / "more.py").write_text("import os")
    said = r"is not what was signed: Extra files found in model '.*': more\.py; config\.json was changed\. Take"
    with pytest.raises(IntegrityError, match=said):
        proved(exported)


def test_another_key_is_refused(exported: Path) -> None:
    write_keys(exported.parent, "other")
    with pytest.raises(IntegrityError, match="is not what was signed"):
        proved(exported, "other.pub")


def test_a_signature_that_leaves_files_out_is_refused(exported: Path) -> None:
    """Made with the library's own means: valid, and it lets a file through."""
    from model_signing import hashing, signing

    config = hashing.Config().set_ignored_paths(paths=["config.json"], ignore_git_paths=False)
    signer = signing.Config().use_elliptic_key_signer(private_key=exported.parent / "key.pem")
    signer.set_hashing_config(config).sign(exported, exported.with_name("out.sig"))
    with pytest.raises(IntegrityError, match="was signed with files left out"):
        proved(exported)


def test_keys(exported: Path, tmp_path: Path) -> None:
    private, public = write_keys(tmp_path, "locked", b"secret")
    sign_export(exported, tmp_path / "locked.sig", private, password="secret")
    assert verify_export(exported, tmp_path / "locked.sig", public) > 5
    with pytest.raises(ZoganError, match=r"locked.pem: is no private key that can be used: .*openssl ecparam"):
        sign_export(exported, tmp_path / "x", private, password="wrong")
    with pytest.raises(ZoganError, match=r"locked.pub: is no private key"):
        sign_export(exported, tmp_path / "x", public)
    with pytest.raises(ZoganError, match=r"config.json: is no public key"):
        verify_export(exported, tmp_path / "locked.sig", exported / "config.json")
    for absent in ("key", "signature"):
        with pytest.raises(ZoganError, match="nowhere: no such file"):
            verify_export(
                exported, tmp_path / ("nowhere" if absent == "signature" else "locked.sig"), tmp_path / "nowhere"
            )
    with pytest.raises(ZoganError, match="no such folder"):
        verify_export(tmp_path / "nowhere", tmp_path / "locked.sig", public)


def test_a_key_that_is_none_leaves_no_export(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    make_patch(base).save(tmp_path / "p")
    (tmp_path / "bad.pem").write_text("no key")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ZoganError, match="is no private key"):
        export_patch(tmp_path / "p", base, tmp_path / "out", key=tmp_path / "bad.pem")
    assert sorted(tmp_path.iterdir()) == before
