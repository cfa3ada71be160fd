"""Recommendations for a shop, from its SQL warehouse and back to it.

The library knows nothing of Airflow: ``recsys.pipeline`` holds the stages, and the command line
and the DAGs call the same ones.
"""

__version__ = "0.1.0"
