"""Ranking sets and the LightGBM ranker that learns from them."""

from recsys.ranking.ranker import Ranker, train_ranker
from recsys.ranking.ranking_set import RankingSet, write_ranking_rows, write_truth

__all__ = ["Ranker", "RankingSet", "train_ranker", "write_ranking_rows", "write_truth"]
