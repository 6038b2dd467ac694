"""Extract, merge, refresh: the core, which knows nothing of Airflow."""
