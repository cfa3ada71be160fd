"""What is installed is what was chosen: every package of a lock has a version and hashes, none an address."""

import re

import pytest

from recsys.assets import assets_root

LOCKS = ("requirements.lock", ".ci/datasets.lock")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("name", LOCKS)
def test_everything_has_a_version_and_hashes_and_no_address(name: str) -> None:
    text = (assets_root() / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(" # ")[0].strip() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    assert lines
    for line in lines:
        assert re.match(r"[A-Za-z0-9._-]+==[^ ;]+( |$)", line), line
        assert HASH.search(line), line
        assert "://" not in line, line
        assert " @ " not in line, line
        assert not re.search(r"--(?!hash=)", line), line
