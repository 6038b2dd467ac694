"""The demo and its parts: PostgreSQL, Airflow, Celery, the report."""
