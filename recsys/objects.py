"""The object store that homes are caches of, where ``RECSYS_ARTIFACTS`` names one: S3, or a server that speaks it.

::

    <url>/<kind>/<name>/<seal>/<file>   files of an artifact
    <url>/<kind>/<name>/_done.json      its seal, which comes last: what has none is not finished
    <url>/documents/<path>              small files that workers share, by their path below home
    <url>/erasures/<id>                 an erasure that began

Files stand below their seal, a hash of their content. So two makers at once never mix theirs, what a killed upload left
is in nobody's way, and an erasure replaces an artifact by replacing one object.

Credentials and the server's address are those that every program of S3 reads (``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_ENDPOINT_URL``, a profile, a machine's role); nothing here sees or keeps them.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from recsys.errors import SettingsError, StoreError
from recsys.redaction import redact_text

SEAL: Final = "_done.json"
DOCUMENTS: Final = "documents"
ERASURES: Final = "erasures"
_FILES_AT_ONCE: Final = 4
_PART_BYTES: Final = 8 * 2**20
_PARTS_AT_ONCE: Final = 4
"""What is on its way stays below 150 MiB, however large the files are."""


@dataclass(frozen=True)
class ObjectStore:
    """A prefix in a bucket.

    Attributes:
        url: ``s3://bucket`` or ``s3://bucket/prefix``.
    """

    url: str

    def seal_of(self, kind: str, name: str) -> str | None:
        """Return the seal of a finished artifact; None if there is none.

        Raises:
            StoreError: if the store can't be asked, as by everything here.
        """
        return self._read(f"{kind}/{name}/{SEAL}")

    def made(self, kind: str) -> dict[str, float]:
        """Return when each finished artifact of a kind was, in seconds since 1970, by its name."""
        found = {}
        for key, about in self._below(kind).items():
            name, _, rest = key.removeprefix(f"{kind}/").partition("/")
            if rest == SEAL:
                found[name] = about["LastModified"].timestamp()
        return found

    def upload(self, folder: Path, kind: str, name: str, seal: str, files: Collection[str]) -> None:
        """Copy an artifact's files into the store, where they are not finished before :meth:`finish`."""
        if not files:
            return
        with self._explained():
            self._fs.put(
                [str(folder / file) for file in files],
                [self._at(f"{kind}/{name}/{seal}/{file}") for file in files],
                batch_size=_FILES_AT_ONCE,
                chunksize=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )

    def finish(self, kind: str, name: str, text: str) -> None:
        """Put the seal of an artifact whose files are there; it replaces the one before."""
        self._write(f"{kind}/{name}/{SEAL}", text)

    def download(self, folder: Path, kind: str, name: str, seal: str, files: Collection[str]) -> None:
        """Copy an artifact's files to a folder, unchecked.

        Raises:
            FileNotFoundError: if one is gone.
        """
        if not files:
            return
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
        with self._explained():
            self._fs.get(
                [self._at(f"{kind}/{name}/{seal}/{file}") for file in files],
                [str(folder / file) for file in files],
                batch_size=_FILES_AT_ONCE,
                max_concurrency=_PARTS_AT_ONCE,
            )

    def read_file(self, kind: str, name: str, seal: str, file: str) -> str | None:
        """Return the text of one of an artifact's files, unchecked; None if it is gone."""
        return self._read(f"{kind}/{name}/{seal}/{file}")

    def remove(self, kind: str, name: str) -> None:
        """Delete an artifact, and what uploads of it left: first the seal, so that none sees it half."""
        with _absent(), self._explained():
            self._fs.rm_file(self._at(f"{kind}/{name}/{SEAL}"))
        self._delete(self._below(f"{kind}/{name}"))

    def remove_files(self, kind: str, name: str, seal: str) -> None:
        """Delete files that were uploaded below a seal."""
        self._delete(self._below(f"{kind}/{name}/{seal}"))

    def document(self, path: str) -> str | None:
        """Return a small file that workers share; None if there is none."""
        return self._read(f"{DOCUMENTS}/{path}")

    def documents(self, folder: str) -> list[str]:
        """Return the small files of a folder that workers share."""
        found = self._texts(self._below(f"{DOCUMENTS}/{folder}"))
        return [found[key] for key in sorted(found)]

    def put_document(self, path: str, text: str) -> None:
        """Replace a small file that workers share."""
        self._write(f"{DOCUMENTS}/{path}", text)

    def begin_erasure(self, name: str) -> None:
        """Tell everybody who works with this store that a customer is being erased."""
        self._write(f"{ERASURES}/{name}", "")

    def erasures(self) -> set[str]:
        """Return the names of the erasures that began."""
        return {key.removeprefix(f"{ERASURES}/") for key in self._below(ERASURES)}

    def newest_erasure(self) -> datetime | None:
        """Return when the newest erasure began, by the store's clock."""
        return max((about["LastModified"] for about in self._below(ERASURES).values()), default=None)

    def tidy(self, until: datetime) -> int:
        """Delete what no seal names, such as what killed uploads left.

        Args:
            until: what was uploaded later stays, by the store's clock; with a zone.

        Returns:
            The number of objects.
        """
        found = {
            key: about
            for key, about in self._below("").items()
            if key.count("/") >= 2 and not key.startswith((f"{DOCUMENTS}/", f"{ERASURES}/"))
        }
        seals = [key for key in found if key.endswith(f"/{SEAL}")]
        texts = self._texts(seals)
        named = tuple(_named(key, texts.get(key, "")) for key in seals)
        left = [
            key
            for key, about in found.items()
            if not key.endswith(f"/{SEAL}") and not key.startswith(named) and about["LastModified"] <= until
        ]
        self._delete(left)
        return len(left)

    def forget(self, until: datetime) -> int:
        """Delete for good what was deleted or replaced in a bucket that keeps versions, and parts of unfinished files.

        Args:
            until: parts of files whose upload began later stay.

        Returns:
            The number of versions and of unfinished files.
        """
        bucket, _, prefix = self._at("").partition("/")
        with self._explained():
            unfinished = [
                {"Key": one["Key"], "UploadId": one["UploadId"]}
                for page in self._pages("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
                for one in page.get("Uploads", ())
                if one["Initiated"] <= until
            ]
            for one in unfinished:
                self._fs.call_s3("abort_multipart_upload", Bucket=bucket, **one)
            if "Status" not in self._fs.call_s3("get_bucket_versioning", Bucket=bucket):
                return len(unfinished)
            old = 0
            for page in self._pages("list_object_versions", Bucket=bucket, Prefix=prefix):
                versions = [one for one in page.get("Versions", ()) if not one["IsLatest"]]
                gone = [
                    {"Key": one["Key"], "VersionId": one["VersionId"]}
                    for one in (*versions, *page.get("DeleteMarkers", ()))
                ]
                if gone:
                    deleted = self._fs.call_s3("delete_objects", Bucket=bucket, Delete={"Objects": gone, "Quiet": True})
                    _require_deleted(self.url, deleted)
                old += len(gone)
            return len(unfinished) + old

    def _pages(self, method: str, **asked: Any) -> Iterator[Mapping[str, Any]]:
        """Give the answers to a question that is answered in parts, in the words of S3."""
        more: dict[str, str] = {}
        while True:
            page = self._fs.call_s3(method, **asked, **more)
            yield page
            if not page.get("IsTruncated"):
                return
            nexts = ("NextKeyMarker", "NextVersionIdMarker", "NextUploadIdMarker")
            more = {name.removeprefix("Next"): page[name] for name in nexts if page.get(name)}

    @property
    def _fs(self) -> Any:
        """Return the file system; asked for each time, since a process that was forked needs its own."""
        try:
            from fsspec.core import url_to_fs
            from s3fs import S3FileSystem  # noqa: F401
        except ImportError as error:
            raise SettingsError(
                f"RECSYS_ARTIFACTS is {self.url}, for which s3fs is missing here: pip install 'recsys[s3]'."
            ) from error
        return url_to_fs(self.url, use_listings_cache=False)[0]

    def _at(self, key: str) -> str:
        return f"{self.url.partition('://')[2]}/{key}"

    def _below(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Return what is known of all objects below a prefix, by their keys in this store."""
        root = self._at("")
        with _absent(), self._explained():
            found = self._fs.find(self._at(prefix), detail=True)
            return {key.removeprefix(root): about for key, about in found.items() if key.startswith(root)}
        return {}

    def _read(self, key: str) -> str | None:
        with _absent(), self._explained():
            return str(self._fs.cat_file(self._at(key)).decode())
        return None

    def _texts(self, keys: Collection[str]) -> dict[str, str]:
        """Return what is in objects; those that are gone are left out."""
        texts = {}
        with self._explained():
            found = self._fs.cat([self._at(key) for key in keys], on_error="return") if keys else {}
            for key in keys:
                read = found[self._at(key)]
                if isinstance(read, bytes):
                    texts[key] = read.decode()
                elif not isinstance(read, FileNotFoundError):
                    raise read
        return texts

    def _write(self, key: str, text: str) -> None:
        with self._explained():
            self._fs.pipe_file(self._at(key), text.encode())

    def _delete(self, keys: Collection[str]) -> None:
        if keys:
            with _absent(), self._explained():
                self._fs.rm([self._at(key) for key in keys])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell a person what to do if the store can't be used; files that are missing are told by others."""
        try:
            yield
        except FileNotFoundError as error:
            if _code(error) != "NoSuchBucket":
                raise
            raise StoreError(
                f"There is no bucket for the object store {self.url}: make it, or set RECSYS_ARTIFACTS to another."
            ) from error
        except Exception as error:
            if not _is_of_store(error):
                raise
            told = redact_text(str(error))[:300].rstrip(".")
            raise StoreError(
                f"The object store {self.url} (RECSYS_ARTIFACTS) can't be used ({type(error).__name__}: {told}). See "
                "that the server answers (AWS_ENDPOINT_URL names it if it isn't Amazon's) and lets these credentials "
                "read, write, list and delete there; then run it again: nothing half-written is taken for finished."
            ) from error


def _named(key: str, text: str) -> str:
    """Return below what a seal's files stand; where it can't be read, all that may be its own."""
    place = key.removesuffix(SEAL)
    try:
        return f"{place}{json.loads(text)['seal']}/"
    except (ValueError, KeyError, TypeError):
        return place


@contextmanager
def _absent() -> Iterator[None]:
    """End the block where something isn't there."""
    try:
        yield
    except FileNotFoundError:
        return


def _code(error: BaseException) -> str:
    """Return what S3 calls an error."""
    answer = getattr(error.__cause__, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


def _is_of_store(error: Exception) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    own = (BotoCoreError, ClientError, ConnectionError, TimeoutError)
    return isinstance(error, own) or (isinstance(error, OSError) and isinstance(error.__cause__, own))


def _require_deleted(url: str, answer: Mapping[str, Any]) -> None:
    if answer.get("Errors"):
        first = answer["Errors"][0]
        raise StoreError(
            f"An old version of {first['Key']} below {url} can't be deleted ({first.get('Code')}: "
            f"{first.get('Message')}). Let these credentials delete versions (s3:DeleteObjectVersion); run it again."
        )
