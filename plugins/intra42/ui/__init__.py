"""The page "Intra42" in Airflow: figures of the warehouse, routes, the browser's part."""
