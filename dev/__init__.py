"""The local stack: embedded PostgreSQL, the simulated Intra API, Airflow, the demo."""
