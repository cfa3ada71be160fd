"""The contracts' rules, read from ``sql/contracts/rules.toml``, with the severities of the settings."""

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from recsys.assets import read_sql
from recsys.errors import SettingsError
from recsys.settings import ContractSettings, Severity

OFF: Final = "off"
WARN: Final = "warn"
QUARANTINE: Final = "quarantine"
STOP: Final = "stop"


@dataclass(frozen=True)
class Rule:
    """One rule; see the file for what each part means.

    Attributes:
        id: its name in settings and reports, unique.
        table: the canonical table that it is about.
        says: what is wrong with what breaks it, for a person.
        severity: off, warn, quarantine or stop.
        do: what to do about it.
        column: the column that it is about; empty if it is about whole rows.
        broken: an SQL predicate, true for a row that breaks it; empty if it is about the whole table.
        crowd: whether many rows together show it.
    """

    id: str
    table: str
    says: str
    severity: Severity
    do: str
    column: str = ""
    broken: str = ""
    crowd: bool = False


@cache
def written_rules() -> tuple[Rule, ...]:
    """Return the rules as the file has them."""
    return tuple(Rule(**entry) for entry in tomllib.loads(read_sql("contracts", "rules.toml"))["rule"])


def rules_of(settings: ContractSettings) -> tuple[Rule, ...]:
    """Return the rules that are on, with the severities of the settings.

    Raises:
        SettingsError: if the settings name a rule that isn't there, or quarantine for one that no row breaks.
    """
    rules = {rule.id: rule for rule in written_rules()}
    for name, severity in settings.severities.items():
        if name not in rules:
            raise SettingsError(
                f"RECSYS_CONTRACTS__SEVERITIES names {name!r}, which is no rule. The rules are: {', '.join(rules)}."
            )
        if severity == QUARANTINE and not rules[name].broken:
            raise SettingsError(
                f"RECSYS_CONTRACTS__SEVERITIES: {name} is about a whole table, so no row of it can be put into "
                "quarantine. Choose off, warn or stop."
            )
        rules[name] = replace(rules[name], severity=severity)
    return tuple(rule for rule in rules.values() if rule.severity != OFF)
