"""Where artifacts are: a home, and the object store that it is a cache of if there is one.

Without a store an artifact's URI names its folder (``file://``). With one it names its place there (``s3://``), which
is the same for every machine; each looks for it in its own home first.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recsys.drafts import sealed_folders
from recsys.errors import NotFoundError, SettingsError
from recsys.objects import ObjectStore
from recsys.settings import Settings

_CACHES: dict[str, "Home"] = {}  # the home of this process by the store that it is a cache of


@dataclass(frozen=True)
class Home:
    """A folder, and the store of its artifacts, None if the folder is that itself."""

    path: Path
    store: ObjectStore | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Home":
        """Return the settings' own; URIs of its store are looked for in it from then on.

        Raises:
            SettingsError: if homes have a store in common, but what makes them agree is missing, or this one was used
                without it before.
        """
        if settings.artifacts is None:
            return cls(settings.resolved_home)
        if settings.privacy.key is None:
            raise SettingsError(
                "RECSYS_ARTIFACTS is set: homes are not shared, and each would make a key of its own for pseudonyms: "
                "set RECSYS_PRIVACY__KEY, to the same one everywhere."
            )
        if settings.engine != "local":
            raise SettingsError(
                "RECSYS_ARTIFACTS is set, but the workers of a cluster share home itself: unset it, or set "
                "RECSYS_ENGINE=local."
            )
        home = cls(settings.resolved_home, ObjectStore(settings.artifacts))
        if _CACHES.get(settings.artifacts) != home:
            _require_copies(home.path, settings.artifacts)
            _CACHES[settings.artifacts] = home
        return home

    def uri_of(self, path: Path) -> str:
        """Return the URI of an artifact's folder, or of one in it."""
        if self.store is None:
            return path.as_uri()
        return f"{self.store.url}/{path.relative_to(self.path).as_posix()}"


def _require_copies(home: Path, url: str) -> None:
    """Refuse a home with artifacts that the store may lack, since what it lacks is taken for deleted."""
    mark = home / "privacy" / "store"
    if mark.is_file() and mark.read_text(encoding="utf-8") == url:
        return
    if sealed_folders(home):
        raise SettingsError(
            f"{home} has artifacts that were made without the object store {url}: set RECSYS_HOME to a new folder, "
            "which is filled from there, or unset RECSYS_ARTIFACTS."
        )
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(url, encoding="utf-8")


def uri_of(path: Path) -> str:
    """Return the URI of a path in one of this process's homes."""
    for home in _CACHES.values():
        if path.is_relative_to(home.path):
            return home.uri_of(path)
    return path.as_uri()


def cached(uri: str) -> tuple[Home, PurePosixPath]:
    """Return the home in which a URI of a store is looked for, and its path below.

    Raises:
        NotFoundError: if it is of another store.
    """
    for url, home in _CACHES.items():
        if uri.startswith(f"{url}/"):
            return home, PurePosixPath(uri.removeprefix(f"{url}/"))
    raise NotFoundError(
        f"The artifact {uri} is of another store than RECSYS_ARTIFACTS names here: set it as where that was made, or "
        "rerun the stage that makes it."
    )
