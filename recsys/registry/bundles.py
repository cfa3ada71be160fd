"""Bundles: the plain files that a model is made of, with the code that reads them."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import recsys
from recsys.artifacts import ArtifactStore, local_path
from recsys.assets import assets_root
from recsys.errors import AlteredError, RegistryError
from recsys.settings import Settings

BUNDLE = "bundle"
KIND = "models"
DIGITS = 16
SHIPPED = "_shipped"  # where a wheel carries what is not Python
IGNORED = ("__pycache__", "*.pyc", SHIPPED)
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
        if path.suffix.lower() in PICKLED or _is_pickle(path):
            raise RegistryError(
                f"The bundle holds {path.name}: models are code and plain files (text, JSON, NPZ, Parquet), "
                "since loading a pickle runs whatever is in it. Write it in one of those formats."
            )


def _is_pickle(path: Path) -> bool:
    """Tell whether a file begins as pickles of protocol 2 and later do; no plain file begins so."""
    with path.open("rb") as file:
        head = file.read(2)
    return len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5


@contextmanager
def staged(bundle: Path, package: Path | None = None) -> Iterator[Staged]:
    """Copy a bundle and the library into a temporary folder, in the shape that a loaded model needs.

    In a checkout ``sql/`` stands outside the package; the copy carries it inside, as a wheel does.
    """
    check_plain(bundle)
    source = package or Path(recsys.__file__).resolve().parent
    shipped = source / SHIPPED
    with TemporaryDirectory(prefix="recsys-model-") as temporary:
        code = Path(temporary, "code", source.name)
        shutil.copytree(source, code, ignore=shutil.ignore_patterns(*IGNORED))
        sql = (shipped if shipped.is_dir() else assets_root()) / "sql"
        shutil.copytree(sql, code / SHIPPED / "sql", ignore=shutil.ignore_patterns(*IGNORED))
        copied = Path(temporary, BUNDLE)
        shutil.copytree(bundle, copied)
        yield Staged(copied, code)


def bundle_folder(settings: Settings, model: str, version: str, expected_hash: str) -> Path:
    """Return where a version's bundle is kept on this machine; the name ends with the first digits of its hash."""
    return _kept(settings, model) / f"{version}-{expected_hash[:DIGITS]}"


def cached_bundle(folder: Path, expected_hash: str) -> Path | None:
    """Return the bundle kept in a folder if its content is what was registered; else clear the folder."""
    if folder.is_dir() and tree_hash(folder) == expected_hash:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    return None


def known_bundle(settings: Settings, model: str, version: str) -> Path | None:
    """Return the bundle of a version that was downloaded before, when MLflow can't say what its hash should be.

    None if there is none that is whole, or more than one (a registry that was made anew counts its versions anew, too).
    """
    found = sorted(_kept(settings, model).glob(f"{version}-{'?' * DIGITS}"))
    return found[0] if len(found) == 1 and _is_whole(found[0]) else None


def open_bundle(uri: str) -> Path:
    """Return the folder of a kept bundle, if its files still are those that it was named by.

    Raises:
        NotFoundError: if it isn't there.
        AlteredError: if a file was altered, added or removed.
    """
    folder = local_path(uri)
    if not _is_whole(folder):
        raise AlteredError(
            f"The files of the bundle {folder} are not those that it was made of: they were altered or damaged "
            "since. Nothing was made of them; rerun the stage that fetched it, which brings it anew."
        )
    return folder


def name_bundle(folder: Path) -> Path:
    """Give a bundle that isn't registered the name by which :func:`open_bundle` checks it; return where it is now."""
    return folder.rename(folder.with_name(f"{folder.name}-{tree_hash(folder)[:DIGITS]}"))


def keep_bundle(settings: Settings, downloaded: Path, folder: Path, expected_hash: str) -> Path:
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
    with ArtifactStore.of(settings).draft(f"{KIND}/{folder.parent.name}") as draft:
        shutil.copytree(downloaded, draft, dirs_exist_ok=True)
        try:
            draft.rename(folder)
        except OSError:
            # Another process put the same content there first.
            if tree_hash(folder) != expected_hash:
                raise
    return folder


def share_bundle(settings: Settings, folder: Path) -> Path:
    """Put a kept bundle into the object store, if there is one, for workers with homes of their own; return it."""
    ArtifactStore.of(settings).keep_bare(folder, f"{KIND}/{folder.parent.name}", folder.name)
    return folder


def _kept(settings: Settings, model: str) -> Path:
    return settings.resolved_home / KIND / model


def _is_whole(folder: Path) -> bool:
    return tree_hash(folder)[:DIGITS] == folder.name.rpartition("-")[2]
