"""A server that speaks S3, on the loopback, and what it holds."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from recsys.settings import PrivacySettings

KEY: Final = PrivacySettings(key="the key of all homes of a test")
LOGIN: Final = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "a secret of the tests"}


@contextmanager
def object_server() -> Iterator[str]:
    """Start a server at a free port; give its address."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    try:
        told = ""
        while found := server.stdout.readline():
            told += found
            if address := re.search(r"http://127\.0\.0\.1:\d+", found):
                # What it says of each request is not read, and must not fill the pipe.
                drain = subprocess.Popen(["cat"], stdin=server.stdout, stdout=subprocess.DEVNULL)
                yield address.group()
                break
        else:
            raise AssertionError(told)
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    drain.wait()


@pytest.fixture(scope="session")
def object_address() -> Iterator[str]:
    """The address of a server, one for each test process."""
    with object_server() as address:
        yield address


@pytest.fixture
def store_url(object_address: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store; its server and log-in are in the environment, for this process and those it starts."""
    for name, value in {**LOGIN, "AWS_ENDPOINT_URL": object_address, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    bucket = f"b-{os.getpid()}-{abs(hash(request.node.nodeid)):x}"
    file_system().mkdir(bucket)
    return f"s3://{bucket}/a/shop"


def file_system() -> Any:
    """Return the server's objects as a file system, as a person would look at them."""
    from s3fs import S3FileSystem  # takes a second, which tests without a store need not spend

    return S3FileSystem(use_listings_cache=False, skip_instance_cache=True)


def keys(url: str) -> list[str]:
    """Return the names of all objects of a store."""
    root = url.removeprefix("s3://")
    return [key.removeprefix(f"{root}/") for key in file_system().find(root)]


def download(url: str, folder: Path) -> Path:
    """Copy every version of every object of a store's bucket to a folder."""
    files, bucket = file_system(), url.removeprefix("s3://").partition("/")[0]
    for number, one in enumerate(files.call_s3("list_object_versions", Bucket=bucket).get("Versions", ())):
        target = folder / f"{number}" / one["Key"]
        target.parent.mkdir(parents=True)
        body = files.call_s3("get_object", Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"]
        target.write_bytes(_read(files, body))
    return folder


def _read(files: Any, body: Any) -> bytes:
    from fsspec.asyn import sync

    return bytes(sync(files.loop, body.read))
