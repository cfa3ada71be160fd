"""Rule-based fusion: the generators have their turns in a fixed order, each with a quota.

A generator's turn gives its best products, as many as its quota; a product that an earlier turn gave keeps its
place. What is beyond the quotas comes after all turns, by rank. For some customers other rules may hold: the
first switch that fits a customer (their segment, how much they bought before) replaces order and quotas.
"""

from collections.abc import Sequence

from recsys.fusion.base import Method
from recsys.settings import FusionRule, FusionSwitch, PlacementSettings

TURN = 100_000  # more than any rank


def votes(generators: Sequence[str], rules: PlacementSettings) -> str:
    """Return the query of votes: minus the place in the sequence of turns.

    With switches, the connection it runs on has ``users`` (user_idx, segment) and ``features_user`` (user_idx,
    user_lines).
    """
    switches = rules.rules.switches
    known = [rules.rules, *switches]
    turns = ", ".join(
        f"({number}, '{name}', {turn}, {rule.quotas.get(name, max(1, rules.fused // len(generators)))})"
        for number, rule in enumerate(known)
        for turn, name in enumerate(_ordered(rule, generators))
    )
    chosen = _choice(switches) if switches else "0"
    joined = (
        "left join users on proposed.user_idx = users.user_idx "
        "left join features_user on proposed.user_idx = features_user.user_idx"
        if switches
        else ""
    )
    last = len(generators) * TURN
    return f"""
        with ruled as (select proposed.*, {chosen} as rule from proposed {joined})
        select
            ruled.* exclude (rule),
            -cast(
                case
                    when ruled.rank <= turns.quota then turns.turn * {TURN} + ruled.rank
                    else {last} + ruled.rank * {len(generators)} + turns.turn
                end as double
            ) as vote
        from ruled
        inner join (values {turns}) as turns (rule, generator, turn, quota)
            on ruled.rule = turns.rule and ruled.generator = turns.generator
    """


def _ordered(rule: FusionRule, generators: Sequence[str]) -> list[str]:
    first = [name for name in rule.order if name in generators]
    return first + [name for name in generators if name not in first]


def _choice(switches: Sequence[FusionSwitch]) -> str:
    """Return the number of the rule that holds for a customer: 0, or that of the first switch that fits."""
    cases = []
    for number, switch in enumerate(switches, start=1):
        conditions = []
        if switch.segments:
            names = ", ".join("'" + name.replace("'", "''") + "'" for name in switch.segments)
            conditions.append(f"users.segment in ({names})")
        if switch.max_purchases is not None:
            conditions.append(f"coalesce(features_user.user_lines, 0) <= {switch.max_purchases}")
        cases.append(f"when {' and '.join(conditions)} then {number}")
    return f"case {' '.join(cases)} else 0 end"


METHOD = Method(votes, combine="greatest", is_weighted=False)
