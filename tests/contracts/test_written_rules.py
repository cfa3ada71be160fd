"""The page about the contracts tells every rule as it is written."""

from recsys.assets import assets_root, sql_path
from recsys.contracts import written_rules
from recsys.contracts.rows import TABLES


def test_the_page_has_every_rule_and_no_other() -> None:
    page = (assets_root() / "docs" / "contracts.md").read_text(encoding="utf-8")
    told = [line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 6]
    assert told == [
        f"| `{rule.id}` | {rule.table} | {rule.column} | {rule.severity} | {rule.says} |" for rule in written_rules()
    ]


def test_rules_are_unique_and_of_tables_that_are_checked() -> None:
    rules = written_rules()
    for unique in ([rule.id for rule in rules], [(rule.table, rule.says) for rule in rules]):
        assert len(set(unique)) == len(unique)
    assert (
        {rule.table for rule in rules}
        == set(TABLES)
        == {path.stem for path in sql_path("contracts").glob("*.sql")} & {rule.table for rule in rules}
    )
    assert all(rule.id.startswith(f"{rule.table}_") and rule.do for rule in rules)
