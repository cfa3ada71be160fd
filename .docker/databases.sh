#!/bin/sh
# Run once by PostgreSQL's image, on an empty volume: three databases, each owned by a role of its own that can enter no
# other. A role's password comes from its secret and never stands in a command line.
set -eu

for name in shop airflow mlflow; do
    export NAME="$name" PASSWORD_FILE="/run/secrets/${name}_password"
    psql --no-psqlrc --no-password --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<'SQL'
\set name `echo "$NAME"`
\set password `cat "$PASSWORD_FILE"`
create role :"name" login nosuperuser nocreatedb nocreaterole password :'password';
create database :"name" owner :"name" encoding 'UTF8' template template0;
revoke all on database :"name" from public;
SQL
done
