#!/usr/bin/env bash
# Writes what is missing for the stack of docker-compose.yml: its secrets, readable by the containers' user alone, and
# .env with that user and the profile. What is there already stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077
profile=${1:-celery}
folder=.stack
secrets=$folder/secrets

case $profile in
    celery | local) ;;
    *) echo "PROFILE is celery (workers, with Redis) or local (the scheduler runs the tasks), not '$profile'." >&2; exit 1 ;;
esac

hex() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }
key() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'; }

# Whole or not at all: a half-written secret would be taken for one on the next start.
write() {
    [ -s "$secrets/$1" ] && return 0
    printf '%s' "$2" >"$secrets/.$1.new"
    mv "$secrets/.$1.new" "$secrets/$1"
}
pass_file() {
    local file=$1 text="" role
    shift
    for role in "$@"; do text+="*:*:*:$role:$(cat "$secrets/${role}_password")"$'\n'; done
    write "$file" "$text"
}

mkdir -p "$secrets"
chmod 700 "$folder" "$secrets"
for role in postgres shop airflow mlflow redis mlflow_admin airflow_admin; do write "${role}_password" "$(hex)"; done
write airflow_fernet_key "$(key)"
for name in airflow_api_secret airflow_jwt_secret mlflow_session_secret webhook_secret; do write "$name" "$(hex)$(hex)"; done
write mlflow_webhook_key "$(key)"
write airflow_logins.json "{\"admin\": \"$(cat "$secrets/airflow_admin_password")\"}"
pass_file airflow_pgpass airflow
pass_file shop_pgpass shop
pass_file airflow_and_shop_pgpass airflow shop
pass_file mlflow_pgpass mlflow
touch "$folder/recsys.env"

# The containers run as whoever starts them, so that they and nobody else read the secrets; never as root.
user=$(id -u)
if [ "$user" = 0 ]; then
    user=10001
    chown -R "$user" "$folder"
fi
{
    [ ! -f .env ] || grep -vE '^(RECSYS_UID|COMPOSE_PROFILES)=' .env || true
    printf 'RECSYS_UID=%s\nCOMPOSE_PROFILES=%s\n' "$user" "$profile"
} >.env.new
mv .env.new .env
