"""The MLflow model registry: a registered model is a project, a version is a bundle digest.

MLflow holds digest, URI and evidence, never the serving copy; pods start with MLflow down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fairlead.adapters.settings import Settings
from fairlead.adapters.tracking import client_of, mlflow_errors
from fairlead.errors import NotFound, ProjectError
from fairlead.records import Bundle, ModelVersion

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

CHAMPION, CHALLENGER = "champion", "challenger"
_SHORTEST_DIGEST = 8
"""Fewer digits than this are a version's number, and might fit several digests."""
_DIGEST, _URI = "fairlead.bundle.digest", "fairlead.bundle.uri"


class MlflowRegistry:
    """Fulfils :class:`fairlead.records.Registry`."""

    def __init__(self, settings: Settings) -> None:
        """Use the registry of the tracking server."""
        self._client = client_of(settings)
        self._uri = settings.tracking_uri

    def champion(self, name: str) -> ModelVersion | None:
        """The version that has the alias ``champion``, if there is one."""
        return next((found for found in self.versions(name) if CHAMPION in found.aliases), None)

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """All versions with their aliases, newest first; empty if the model is not registered."""
        with mlflow_errors(self._uri):
            registered = list(self._client.search_registered_models(f"name = '{name}'"))
            if not registered:
                return []
            aliases = _aliases_by_version(registered[0].aliases)
            records = [
                self._record(version, aliases.get(int(version.version), ()))
                for version in self._all_versions(name)
            ]
        return sorted(records, key=lambda record: -record.version)

    def _all_versions(self, name: str) -> Iterator[MlflowVersion]:
        """MLflow gives versions a page at a time, and the champion may be on the last one."""
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{name}'", page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def find(self, name: str, which: str) -> ModelVersion:
        """The version that *which* names: its number, an alias, or the first digits of its digest, eight or more.

        Raises:
            NotFound: There is none.
            ProjectError: Several digests begin so.
        """
        if which.isdecimal() and len(which) < _SHORTEST_DIGEST:
            return self.version(name, int(which))
        known = self.versions(name)
        by_alias = [found for found in known if which in found.aliases]
        by_digest = [
            found for found in known if len(which) >= _SHORTEST_DIGEST and found.digest.startswith(which)
        ]
        found = by_alias or by_digest
        if not found:
            aliases = ", ".join(sorted(alias for version in known for alias in version.aliases)) or "none"
            raise NotFound(
                f"model {name!r} has no version {which!r}; its aliases: {aliases}",
                hint="`fairlead models list` shows what there is; `fairlead run` trains and registers a version.",
            )
        if len(found) > 1:
            raise ProjectError(f"{len(found)} bundles of model {name!r} begin with {which!r}")
        return found[0]

    def register(
        self, bundle: Bundle, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> ModelVersion:
        """Register *bundle*; the first version becomes champion, every later one challenger.

        A bundle whose digest is registered already keeps its version and aliases; while there is no champion (a run was
        killed between the version and its alias) it becomes that.
        """
        known = {version.digest: version for version in self.versions(bundle.name)}
        has_champion = any(CHAMPION in version.aliases for version in known.values())
        if bundle.digest in known:
            same = known[bundle.digest]
            if not has_champion:
                self._give_alias(same.name, CHAMPION, same.version)
            return self.version(same.name, same.version)
        with mlflow_errors(self._uri):
            self._make_model(bundle.name)
            self._client.create_model_version(
                bundle.name,
                source=f"runs:/{run_id}/bundle",
                run_id=run_id,
                tags={**tags, _DIGEST: bundle.digest, _URI: bundle.uri, **_as_tags(metrics)},
            )
        version = self._only_version(bundle)
        self._give_alias(bundle.name, CHALLENGER if has_champion else CHAMPION, version)
        return self.version(bundle.name, version)

    def _make_model(self, name: str) -> None:
        """Create the registered model if there is none. Another task may do so too, or a request whose answer was lost."""
        from mlflow.exceptions import MlflowException

        if not self._client.search_registered_models(f"name = '{name}'"):
            try:
                self._client.create_registered_model(name)
            except MlflowException as cause:
                if cause.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise

    def _only_version(self, bundle: Bundle) -> int:
        """The version that holds *bundle*. If a request whose answer was lost has made one more, the oldest stays."""
        same = sorted(found.version for found in self.versions(bundle.name) if found.digest == bundle.digest)
        with mlflow_errors(self._uri):
            for repeated in same[1:]:
                self._client.delete_model_version(bundle.name, str(repeated))
        return same[0]

    def _give_alias(self, name: str, alias: str, version: int) -> None:
        with mlflow_errors(self._uri):
            self._client.set_registered_model_alias(name, alias, str(version))

    def version(self, name: str, version: int) -> ModelVersion:
        """One version.

        Raises:
            NotFound: The model has no such version; the message lists those it has.
        """
        known = self.versions(name)
        for found in known:
            if found.version == version:
                return found
        listed = ", ".join(str(found.version) for found in known) or "none"
        raise NotFound(f"model {name!r} has no version {version}; it has: {listed}")

    def promote(self, name: str, version: int, *, by: str, why: str) -> ModelVersion:
        """Move the alias ``champion`` to *version*; who, why and when are kept as tags of the version."""
        chosen = self.version(name, version)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"fairlead.promoted.by": by, "fairlead.promoted.why": why, "fairlead.promoted.at": at}
        with mlflow_errors(self._uri):
            for key, value in record.items():
                self._client.set_model_version_tag(name, str(version), key, value)
            self._client.set_registered_model_alias(name, CHAMPION, str(version))
            if CHALLENGER in chosen.aliases:
                self._client.delete_registered_model_alias(name, CHALLENGER)
        return self.version(name, version)

    @staticmethod
    def _record(version: MlflowVersion, aliases: Sequence[str]) -> ModelVersion:
        tags: dict[str, Any] = dict(version.tags)
        metrics = {
            key.removeprefix("metric."): float(value)
            for key, value in tags.items()
            if key.startswith("metric.")
        }
        return ModelVersion(
            name=version.name,
            version=int(version.version),
            digest=tags.get(_DIGEST, ""),
            uri=tags.get(_URI, ""),
            aliases=tuple(aliases),
            run_id=version.run_id or "",
            created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).isoformat(
                timespec="seconds"
            ),
            metrics=metrics,
            tags={key: value for key, value in tags.items() if not key.startswith("metric.")},
        )


def _aliases_by_version(aliases: Any) -> dict[int, tuple[str, ...]]:
    """MLflow gives a mapping of alias to version, or a list of alias records, depending on the store."""
    pairs = (
        aliases.items()
        if isinstance(aliases, Mapping)
        else [(alias.alias, alias.version) for alias in aliases]
    )
    by_version: dict[int, tuple[str, ...]] = {}
    for alias, version in sorted(pairs):
        by_version[int(version)] = (*by_version.get(int(version), ()), alias)
    return by_version


def _as_tags(metrics: Mapping[str, float]) -> dict[str, str]:
    # Repr keeps every digit, so that a comparison of versions compares what was measured.
    return {f"metric.{name}": repr(float(value)) for name, value in metrics.items()}
