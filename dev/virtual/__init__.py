"""Several processes that carry out both DAGs' tasks in a simulated time, which one of them owns."""
