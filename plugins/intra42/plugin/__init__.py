"""What Airflow loads of the package: its form, its plugin, its listeners."""
