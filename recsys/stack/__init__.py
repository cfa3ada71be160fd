"""Airflow and MLflow on one machine: started as programs, watched, spoken to by HTTP, ended together.

For a newcomer and for tests; a shop brings its own Airflow and MLflow. Nothing here imports either.
"""

from recsys.stack.stack import Stack

__all__ = ["Stack"]
