"""Fusion: the proposals of several generators as one candidate list a customer, by one of several methods."""

from recsys.fusion.fusing import METHODS, fuse

__all__ = ["METHODS", "fuse"]
