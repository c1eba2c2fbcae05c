#!/bin/sh
# Tell what a viewer did, ask what comes next, show it. Needs curl.
#
#   matinee serve bundle &
#   sh examples/serve/recommend.sh VIEWER ITEM
set -eu
url=${MATINEE_URL:-http://127.0.0.1:8000}
viewer=${1:-u-1} item=${2:-i-1}

call() { # call METHOD PATH JSON
  curl --silent --show-error --fail-with-body --request "$1" "$url$2" \
    --header 'Content-Type: application/json' \
    ${MATINEE_KEY:+--header "Authorization: Bearer $MATINEE_KEY"} \
    --data "$3"
  echo
}

# The event is on disk when this answers; with its event_id it may be sent again without harm.
call POST /v1/events '{"events": [{"user": "'"$viewer"'", "item": "'"$item"'", "kind": "view",
  "event_id": "'"$viewer-$item-$(date +%s)"'"}]}'

# It counts in the very next answer.
call POST /v1/recommend '{"user": "'"$viewer"'", "k": 5, "reasons": true, "placement": "home"}'
