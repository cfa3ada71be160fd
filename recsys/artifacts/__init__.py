"""Artifacts of a run: folders below one root, named by what went into them.

A stage asks for the folder of its inputs' fingerprint. If the folder is there, the stage is a skip;
otherwise it writes to a temporary name beside it and renames, so a killed stage leaves nothing that
looks finished. What a killed stage began is removed by the next one that makes something of that kind.
Only URIs and small JSON pass between stages.

A finished folder carries a seal: the facts about it, and the size and SHA-256 of every file. Whoever opens an artifact
checks it first; one that was altered is refused, and made anew by the stage that makes it. A process reads each file
for that once (about 1 GB/s), however many stages it runs.

With an object store (``RECSYS_ARTIFACTS``) that is where artifacts are, and home has copies: what is made is uploaded
before it gets its name here, its seal last, and what is asked for and isn't here is brought.
"""

from recsys.artifacts.confining import URIS, within_home
from recsys.artifacts.documents import read_document, read_documents, share_document, write_document
from recsys.artifacts.files import replace_json, room_on_disk
from recsys.artifacts.sealing import DONE, check_file, content_hash, file_hash, fingerprint
from recsys.artifacts.store import Artifact, ArtifactStore, facts_of, local_path, open_artifact
from recsys.drafts import DRAFT
from recsys.homes import uri_of

__all__ = [
    "DONE",
    "DRAFT",
    "URIS",
    "Artifact",
    "ArtifactStore",
    "check_file",
    "content_hash",
    "facts_of",
    "file_hash",
    "fingerprint",
    "local_path",
    "open_artifact",
    "read_document",
    "read_documents",
    "replace_json",
    "room_on_disk",
    "share_document",
    "uri_of",
    "within_home",
    "write_document",
]
