#!/usr/bin/env bash
# The token by curl, signed by openssl.
# Needs: APP_KEY, APP_SECRET, TOP_URL (http://127.0.0.1:5050/router/rest), and what the app may ask for.
set -euo pipefail

method=alibaba.security.deepvision.proxy.security.common.token.get
# GMT+8, whatever the machine's time zone is. POSIX writes the sign the other way round.
timestamp=$(TZ=CST-8 date '+%Y-%m-%d %H:%M:%S')
param='{"product_code":"oss","scene_code":"app-upload","usage_scene":"upload"'
param+=",\"op_tenant_code\":\"$TENANT_CODE\",\"op_poi_id\":\"$POI_ID\"}"

# Every name with its value, in the order of the names, nothing between them, as they are before URL encoding.
base="app_key${APP_KEY}formatjsonmethod${method}param${param}sign_methodmd5timestamp${timestamp}v2.0"
# printf is part of the shell: the secret goes through a pipe, and into no list of processes.
sign=$(printf %s "$APP_SECRET$base$APP_SECRET" | openssl dgst -md5 -r | cut -c 1-32 | tr a-f A-F)

curl --silent --show-error --fail "$TOP_URL" \
    --data-urlencode "method=$method" \
    --data-urlencode "app_key=$APP_KEY" \
    --data-urlencode "timestamp=$timestamp" \
    --data-urlencode 'v=2.0' \
    --data-urlencode 'format=json' \
    --data-urlencode 'sign_method=md5' \
    --data-urlencode "param=$param" \
    --data-urlencode "sign=$sign"
