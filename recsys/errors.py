"""The exceptions of the platform: one small tree, so that a caller can catch by kind.

Every message names the bad value, says why it is bad and what to do instead. Entry points print the
message of a ``RecsysError`` without a trace; anything else is a defect and keeps its trace.
"""


class RecsysError(Exception):
    """Anything the platform reports to a person on purpose."""


class SettingsError(RecsysError):
    """A setting, parameter or argument that can't be used (bad value, unknown placement, bad date)."""


class SourceError(RecsysError):
    """A shop's raw data that can't be mapped: missing file, missing column, text where a number belongs."""


class ContractError(RecsysError):
    """Canonical rows that break a rule in a way quarantine can't contain (empty table, missing column)."""


class NotFoundError(RecsysError):
    """Something asked for by name that isn't there (customer, publication, snapshot, model version)."""


class AlteredError(RecsysError):
    """An artifact whose files are not those that its stage wrote: one is missing, or its content hash differs."""


class StoreError(RecsysError):
    """The object store of artifacts can't be reached, or refuses what is asked of it."""


class WarehouseError(RecsysError):
    """The warehouse can't be reached, or refused a statement."""


class WarehouseBusyError(WarehouseError):
    """Another process holds the embedded warehouse; the message names it."""


class TransientWarehouseError(WarehouseError):
    """The server undid the work for a reason that passes: a deadlock, a clash, a connection that was cut."""


class DiskFullError(RecsysError):
    """A file can't be written: the disk, a quota or the largest size of a file is at its end."""


class AuditError(RecsysError):
    """A staged publication failed its audit; it stays out of sight and the old one stays live."""


class ConflictError(RecsysError):
    """Somebody else changed what is live meanwhile: the compare-and-set did not match."""


class ErasedMeanwhileError(RecsysError):
    """A customer was erased while a stage was at work on data with them: what it made was not kept."""


class RefusedError(ConflictError):
    """A decision that can't be taken as things stand: another try can't help, another decision can."""


class RegistryError(RecsysError):
    """MLflow can't be reached, or a registered model isn't what it should be."""


class EngineError(RecsysError):
    """The cluster that computes can't be reached or used, or lost a piece of the work with its workers."""


class StackError(RecsysError):
    """The local Airflow or MLflow did not start, or stopped: port taken, disk full, killed process."""


class BreachError(RecsysError):
    """Monitoring found figures beyond their limits; the message lists every one and what to do."""
