"""Bundles: the plain files that a model is made of, with the code that reads them."""

import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import recsys
from recsys.assets import assets_root
from recsys.errors import RegistryError

BUNDLE = "bundle"
IGNORED = ("__pycache__", "*.pyc", "_shipped")
PICKLED = (".pkl", ".pickle", ".joblib", ".dill")


@dataclass(frozen=True)
class Staged:
    """Copies that MLflow packs: the bundle, and the library with its SQL beside it."""

    bundle: Path
    code: Path


def tree_hash(folder: Path) -> str:
    """Return the sha256 over the relative names and the bytes of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def check_plain(bundle: Path) -> None:
    """Refuse a bundle that is missing, empty or holds pickles.

    Raises:
        RegistryError: naming the folder or the file.
    """
    files = [path for path in bundle.rglob("*") if path.is_file()] if bundle.is_dir() else []
    if not files:
        raise RegistryError(f"The bundle {bundle} is missing or empty; rerun the training that makes it.")
    for path in files:
        if path.suffix in PICKLED:
            raise RegistryError(
                f"The bundle holds {path.name}: models are code and plain files (text, JSON, NPZ, Parquet), "
                "since loading a pickle runs whatever is in it. Write it in one of those formats."
            )


@contextmanager
def staged(bundle: Path, package: Path | None = None) -> Iterator[Staged]:
    """Copy a bundle and the library into a temporary folder, in the shape that a loaded model needs.

    In a checkout ``sql/`` stands outside the package; the copy carries it inside, as a wheel does.
    """
    check_plain(bundle)
    source = package or Path(recsys.__file__).resolve().parent
    with TemporaryDirectory(prefix="recsys-model-") as temporary:
        code = Path(temporary, "code", source.name)
        shutil.copytree(source, code, ignore=shutil.ignore_patterns(*IGNORED))
        shutil.copytree(assets_root() / "sql", code / "_shipped" / "sql", ignore=shutil.ignore_patterns(*IGNORED))
        copied = Path(temporary, BUNDLE)
        shutil.copytree(bundle, copied)
        yield Staged(copied, code)


def cached_bundle(folder: Path, expected_hash: str) -> Path | None:
    """Return the bundle kept in a folder if its content is what was registered; else clear the folder."""
    if folder.is_dir() and tree_hash(folder) == expected_hash:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    return None


def keep_bundle(downloaded: Path, folder: Path, expected_hash: str) -> Path:
    """Move a downloaded bundle to its place after checking its content.

    Raises:
        RegistryError: if it isn't what was registered.
    """
    found = tree_hash(downloaded)
    if found != expected_hash:
        raise RegistryError(
            f"The downloaded bundle for {folder.parent.name}/{folder.name} has the hash {found[:16]}, "
            f"registered was {expected_hash[:16]}: somebody changed it in MLflow. "
            "Roll back or train again."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    shutil.copytree(downloaded, draft)
    try:
        draft.rename(folder)
    except OSError:
        # Another process put the same content there first.
        shutil.rmtree(draft)
        if tree_hash(folder) != expected_hash:
            raise
    return folder
