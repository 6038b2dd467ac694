select {label} as name, count(*) as rows from {table}
