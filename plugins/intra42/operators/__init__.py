"""Operators: thin tasks over the sync core, for these DAGs and for your own."""

from intra42.operators.audit import Intra42AuditOperator
from intra42.operators.base import Intra42Operator
from intra42.operators.refresh import (
    Intra42DeleteMissingOperator,
    Intra42PlanRefreshOperator,
    Intra42RefetchOperator,
)
from intra42.operators.sync import Intra42OpenRunOperator, Intra42SyncOperator

__all__ = [
    "Intra42AuditOperator",
    "Intra42DeleteMissingOperator",
    "Intra42OpenRunOperator",
    "Intra42Operator",
    "Intra42PlanRefreshOperator",
    "Intra42RefetchOperator",
    "Intra42SyncOperator",
]
