"""Ranking sets and the LightGBM ranker that learns from them."""

from recsys.ranking.labels import write_labels, write_truth
from recsys.ranking.ranker import Ranker, train_ranker
from recsys.ranking.ranking_set import RankingSet, write_ranking_rows

__all__ = ["Ranker", "RankingSet", "train_ranker", "write_labels", "write_ranking_rows", "write_truth"]
