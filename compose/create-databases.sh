#!/usr/bin/env bash
# Runs once, when the data volume is empty: two databases, each with an owner of its own.
set -euo pipefail

psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 \
  --set airflow_password="$AIRFLOW_DB_PASSWORD" \
  --set warehouse_password="$WAREHOUSE_DB_PASSWORD" <<'SQL'
create role airflow login password :'airflow_password';
create database airflow owner airflow;
create role warehouse login password :'warehouse_password';
create database warehouse owner warehouse;
SQL
