"""Hooks: the only place that knows Airflow connections."""

from intra42.hooks.intra42 import Intra42Hook

__all__ = ["Intra42Hook"]
