"""The page "Intra42" in Airflow: figures from the warehouse, the routes, and what the browser gets."""
