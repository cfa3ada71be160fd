"""Fusion: the proposals of several generators as one candidate list a customer, by one of several methods."""

from recsys.fusion.base import Proposed
from recsys.fusion.fusing import METHODS, Candidates, fuse, fused

__all__ = ["METHODS", "Candidates", "Proposed", "fuse", "fused"]
