"""A Dask cluster of two worker processes makes what this process makes, and loses nothing with a worker."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
import pytest
from pydantic import SecretStr

from recsys.engine import Piece, run_pieces
from recsys.engine import cluster as engine_cluster
from recsys.engine.cluster import connect
from recsys.engine.sending import Call, submitted, watch
from recsys.engine.worker import LARGEST, marked, perform, sendable
from recsys.errors import ContractError, EngineError, SettingsError
from recsys.pipeline.serving import write_lists
from recsys.pipeline.training import learned
from recsys.ranking import Ranker
from recsys.settings import CandidateSettings, ReviewSettings, Settings
from tests.support.chain import write_chain_shop
from tests.support.computed import KINDS, answer_much, compute, contents, forget, lists_of, refuse
from tests.support.dask_cluster import DaskCluster, WorkerKiller, dask_cluster
from tests.support.planted import debris, quick_settings
from tests.support.warehouse import make_settings

FEW = 16 * 1024  # bytes: URIs and counts


@dataclass(frozen=True)
class Computed:
    """What was made, first here and then on the cluster."""

    settings: Settings
    made: dict[str, Any]
    here: dict[str, str]
    there: dict[str, str]
    lists: tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def computed(cluster: DaskCluster, tmp_path_factory: pytest.TempPathFactory) -> Computed:
    few = CandidateSettings(
        generators=("repurchase", "popularity", "item_cf", "als"), als_factors=8, als_iterations=3, per_generator=40
    )
    local = quick_settings(tmp_path_factory.mktemp("shop"), threads=1, shards=2, candidates=few)
    write_chain_shop(local)
    home = local.resolved_home
    lists, here = lists_of(compute(local)), contents(home)
    forget(home)
    far = cluster.settings(local)
    made = compute(far)
    return Computed(far, made, here, contents(home), (lists, lists_of(made)))


def test_every_file_is_that_of_the_local_engine(computed: Computed) -> None:
    assert {path.split("/")[0] for path in computed.there} == set(KINDS)
    assert computed.there == computed.here


def test_every_customer_gets_the_list_of_the_local_engine(computed: Computed) -> None:
    here, there = computed.lists
    assert all(len(rows) > 1000 for rows in here.values())
    assert there == here


def test_nothing_is_left_beside_what_was_made(computed: Computed) -> None:
    assert debris(computed.settings.resolved_home) == []


def test_the_workers_have_a_limit_of_memory(computed: Computed, cluster: DaskCluster) -> None:
    assert [worker["memory_limit"] for worker in cluster.workers(computed.settings).values()] == [2**30, 2**30]


def test_both_workers_worked_and_none_sent_data(computed: Computed) -> None:
    def told(dask_worker: Any) -> tuple[int, int]:
        return dask_worker.state.executed_count, dask_worker.transfer_outgoing_bytes_total

    answers = connect(computed.settings).run(told)
    assert len(answers) == 2
    for pieces, sent in answers.values():
        assert pieces > 0
        assert sent < FEW


def test_a_piece_whose_worker_is_killed_is_done_by_another(computed: Computed, cluster: DaskCluster) -> None:
    settings, plan = computed.settings, computed.made["plan"]
    lists = settings.resolved_home / "lists"
    forget(settings.resolved_home, "lists")
    pieces = [Piece(f"shard {n}", write_lists, {"state": plan["state"], **one}) for n, one in enumerate(plan["shards"])]
    with WorkerKiller(cluster, lambda worker: holds_lock(worker, lists)) as killer:
        run_pieces(settings, pieces)
    assert killer.killed
    assert contents(settings.resolved_home) == computed.here
    assert debris(lists) == []


def holds_lock(worker: psutil.Process, folder: Path) -> bool:
    """Tell whether a worker is making an artifact of a kind."""
    return any(f"{folder}/.draft-" in file.path for file in worker.open_files() if file.path.endswith(".lock"))


def trained_together(computed: Computed, trees: int, **other: Any) -> Path:
    """Train one ranker on two machines; return its folder, which is not kept."""
    told = computed.settings.ranker.model_copy(update={"machines": 2, "trees": trees})
    settings = computed.settings.model_copy(update={"ranker": told, **other})
    made = learned(settings, computed.made["ranking_set"], "discover", "release").path
    return made.rename(settings.resolved_home / f"trained {settings.engine} {trees}") / "discover" / "release"


def test_a_ranker_trained_together_is_that_of_as_many_processes_here(computed: Computed) -> None:
    far = (trained_together(computed, 10) / "ranker.txt").read_text()
    assert far == (trained_together(computed, 10, engine="local") / "ranker.txt").read_text()
    assert "[tree_learner: data]" in far
    assert "127.0.0.1" not in far


@pytest.mark.soak
def test_a_training_together_that_loses_a_worker_begins_anew(computed: Computed, cluster: DaskCluster) -> None:
    connect(computed.settings).wait_for_workers(2, timeout=300)
    with WorkerKiller(cluster, lambda worker: talks_to_peer(worker, cluster.worker_processes())) as killer:
        folder = trained_together(computed, 400)
    assert killer.killed
    assert Ranker.load(folder).booster.num_trees() == 400


def talks_to_peer(worker: psutil.Process, workers: list[psutil.Process]) -> bool:
    """Tell whether a worker has a connection to another, as only rankers that are trained together have."""
    ports = {one.pid: {link.laddr.port for link in one.net_connections("tcp4")} for one in workers}
    others = set().union(*(theirs for pid, theirs in ports.items() if pid != worker.pid))
    links = worker.net_connections("tcp4")
    return any(link.raddr and link.raddr.port in others and link.status == "ESTABLISHED" for link in links)


def test_data_is_not_let_through_the_scheduler(computed: Computed) -> None:
    with pytest.raises(EngineError, match="may go through a scheduler"):
        run_pieces(computed.settings, [Piece("much", answer_much, {"size": 1, "more": "x" * LARGEST})])
    with pytest.raises(EngineError, match="The answer of much has"):
        run_pieces(computed.settings, [Piece("much", answer_much, {"size": LARGEST})])


def test_what_a_piece_reports_arrives_as_itself(computed: Computed) -> None:
    with pytest.raises(ContractError, match="may use 1 threads") as told:
        run_pieces(computed.settings, [Piece("refusal", refuse, {})])
    assert str(os.getpid()) not in str(told.value)


def ask(computed: Computed, *workers: str, **other: Any) -> None:
    """Send a piece, under other terms than those that hold."""
    client, given = connect(computed.settings), sendable(computed.settings)
    with marked(computed.settings) as terms:
        piece = Piece("one", answer_much, {"size": 1})
        with submitted(client, [Call("asked", perform, (piece, given, replace(terms, **other)), workers)]) as futures:
            watch(client, futures)


def test_a_worker_of_another_version_refuses(computed: Computed) -> None:
    with pytest.raises(EngineError, match=r"has numpy [\d.]+ instead of 1\.0: it would compute something else"):
        ask(computed, versions={"numpy": "1.0"})


def test_a_worker_without_the_shared_folder_refuses(computed: Computed, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="RECSYS_HOME must be a folder that all workers share"):
        ask(computed, mark=str(tmp_path / "nowhere" / "tmp" / "mark"))


def test_a_worker_with_more_than_one_thread_refuses(computed: Computed, cluster: DaskCluster) -> None:
    cluster.add_worker("--host", "127.0.0.1", "--nthreads", "2", "--no-nanny", "--name", "wide")
    client = connect(computed.settings)
    client.wait_for_workers(3, timeout=120)
    with pytest.raises(EngineError, match="Start workers with --nthreads 1"):
        ask(computed, "wide")
    client.retire_workers(names=["wide"])


def test_a_cluster_of_another_version_is_refused(computed: Computed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cluster, "versions", lambda: {"python": "3.11", "recsys": "99.0", "distributed": "1.0"})
    with pytest.raises(EngineError, match=r"scheduler has .*recsys 0\.1\.0 instead of 99\.0"):
        engine_cluster._require_versions(connect(computed.settings))


def test_no_secret_is_sent(tmp_path: Path) -> None:
    settings = make_settings(
        tmp_path,
        warehouse_url="postgresql://me:secret-1@db/shop",
        tracking_uri="http://me:secret-2@mlflow:5000",
        review=ReviewSettings(webhook_secret=SecretStr("secret-3" * 4)),
        airflow={"password": "secret-4"},
        privacy={"key": "secret-5" * 4},
    )
    sent = sendable(settings)
    assert b"secret-" in cloudpickle.dumps(settings)
    assert b"secret-" not in cloudpickle.dumps(sent)
    assert sent.resolved_home == settings.resolved_home


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cluster, "CONNECT_SECONDS", 0.5)
    settings = make_settings(tmp_path, engine="dask", dask_scheduler="tcp://127.0.0.1:9")
    with pytest.raises(EngineError, match=r"tcp://127\.0\.0\.1:9 doesn't answer"):
        run_pieces(settings, [Piece("one", answer_much, {"size": 1})])


def test_a_cluster_without_an_address_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="set RECSYS_DASK_SCHEDULER"):
        run_pieces(make_settings(tmp_path, engine="dask"), [Piece("one", answer_much, {"size": 1})])
