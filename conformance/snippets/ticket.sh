#!/bin/sh
# The ticket way without a signature of one's own: the application's backend asks Daypass for the ticket, with a client
# secret. Any language's HTTP library does the same.
#
#     daypass client add lesson --kind client-secret --role uploads --any subject
#     CLIENT_ID=… CLIENT_SECRET=… sh ticket.sh alice
set -eu

url=${GET_AUTHORIZATION:-http://127.0.0.1:5050/getAuthorization}
origin=${ORIGIN:-http://127.0.0.1:8000}

# By standard input, because arguments can be seen by every user of the machine.
printf 'user = "%s:%s"\n' "$CLIENT_ID" "$CLIENT_SECRET" |
    curl --silent --show-error --fail-with-body --config - \
        --header 'Content-Type: application/json' \
        --data "{\"subject\": \"$1\", \"origin\": \"$origin\"}" \
        "$url/ticket"
