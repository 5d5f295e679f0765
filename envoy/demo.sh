#!/usr/bin/env bash
# What `make demo` runs once all is built: starts Envoy with envoy/envoy.yaml, sends the samples below, prints what came back,
# and serves until interrupted. DEMO_ONCE=1 ends it after the table. The exit status is 1 if a sample was answered otherwise than expected.
set -euo pipefail
cd "$(dirname "$0")/.."

mdrm=${CARGO_TARGET_DIR:-target}/debug/mdrm
proxy=http://127.0.0.1:10000
admin=http://127.0.0.1:9901
log=target/demo-envoy.log
mint=("$mdrm" mint --sub movie-1)

# sample EXPECTED WHAT 'METHOD PATH [HEADER: VALUE]' [CARRIAGE KEY [MINT OPTION]...]
# CARRIAGE is header, bearer, query, or forged (in the header, with another signature); KEY names a file in envoy/keys.
# The time 4102444800 is in the year 2100.
samples() {
  sample '200'          'token in the header'             'POST /license/widevine'      header es256
  sample '200'          'with the scheme Bearer'          'POST /license/playready'     bearer rs256
  sample '200'          'token in the query'              'POST /license/fairplay?id=7' query  eddsa
  sample '200'          'CPIX'                            'POST /cpix'                  header cpix
  sample '200'          'open route'                      'GET /fairplay/certificate'
  sample '200'          'preflight, allowed origin'       'OPTIONS /license/widevine Origin: https://player.example'
  sample '200'          'preflight, other origin'         'OPTIONS /license/widevine Origin: https://other.example'
  sample '401 MDRM-501' 'no token'                        'POST /license/widevine'
  sample '401 MDRM-502' 'not a token'                     'POST /license/widevine Authorization: rubbish'
  sample '401 MDRM-504' 'key never registered'            'POST /license/widevine'      header unregistered
  sample '401 MDRM-512' 'key deleted'                     'POST /license/widevine'      header deleted
  sample '401 MDRM-513' 'key disabled'                    'POST /license/widevine'      header disabled
  sample '401 MDRM-513' 'key expired'                     'POST /license/widevine'      header expired
  sample '401 MDRM-505' 'forged signature'                'POST /license/widevine'      forged es256
  sample '401 MDRM-509' 'no issue time'                   'POST /license/widevine'      header es256 --no-claim iat
  sample '401 MDRM-510' 'issued in the future'            'POST /license/widevine'      header es256 --claim iat=4102444800
  sample '401 MDRM-511' 'not valid yet'                   'POST /license/widevine'      header es256 --claim nbf=4102444800
  sample '401 MDRM-508' 'older than 90 seconds'           'POST /license/widevine'      header es256 --age 10m
  sample '401 MDRM-508' 'past its own end'                'POST /license/widevine'      header es256 --claim exp=1000000000
  sample '403 MDRM-503' 'for another audience'            'POST /license/widevine'      header es256 --aud urn:example:other
  sample '403 MDRM-503' 'key is for CPIX only'            'POST /license/widevine'      header cpix --aud urn:verimatrix:multidrm
  sample '403 MDRM-503' 'path that no route names'        'POST /elsewhere'             header es256
  sample '403 MDRM-521' 'token is for Trust Tunnel'       'POST /license/widevine'      header es256 --claim 'drm_protocol=Trust Tunnel'
  sample '403 MDRM-518' 'Trust Tunnel, not configured'    'POST /license/widevine Content-Type: application/jose'
  sample '500 MDRM-500' 'key service fails'               'POST /license/widevine'      header outage
}

total=0
wrong=0

sample() {
  local expected=$1 what=$2 method path headers carriage=${4:-none} key=${5:-}
  local url token='' response status='' code='' message='' got verdict=ok curl_options=()
  read -r method path headers <<<"$3"
  url=$proxy$path

  if [ "$carriage" != none ]; then token=$("${mint[@]}" --key "envoy/keys/demo-$key.private.jwk" "${@:6}"); fi
  case $carriage in
    header) headers+=$'\n'"Authorization: $token" ;;
    forged) headers+=$'\n'"Authorization: $(with_another_signature "$token")" ;;
    bearer) headers+=$'\n'"Authorization: Bearer $token" ;;
    query) url+="&Authorization=$token" ;;
  esac
  case $method in
    POST) curl_options=(--data-binary challenge) ;;
    OPTIONS) headers+=$'\n''Access-Control-Request-Method: POST' ;;
  esac

  response=$(curl --silent --include --max-time 20 --request "$method" "${curl_options[@]}" --header @- "$url" <<<"$headers") || true
  if [[ $response =~ ^HTTP/[0-9.]+\ ([0-9]+) ]]; then status=${BASH_REMATCH[1]}; fi
  if [[ $response =~ \"code\":\"([^\"]*)\" ]]; then code=${BASH_REMATCH[1]}; fi
  if [[ $response =~ \"message\":\"([^\"]*)\" ]]; then message=${BASH_REMATCH[1]}; fi
  if [[ $response =~ x-received:\ ([^$'\r\n']*) ]]; then
    message="reached the license server as ${BASH_REMATCH[1]}"
  elif [ "$status" = 200 ]; then
    message='answered by Envoy, before the filter'
  fi

  got=${status:-no answer}${code:+ $code}
  if [ -n "$token" ] && [[ $response == *"$token"* ]]; then got+=', and the token came back'; fi
  total=$((total + 1))
  if [ "$got" != "$expected" ]; then
    wrong=$((wrong + 1))
    verdict=WRONG
    message="expected $expected, got $got. $message"
  fi
  row "$verdict" "$what" "$method $path" "${status:--}" "${code:--}" "$message"
}

with_another_signature() {
  # Changes the first character: the last one has unused bits, which must stay 0.
  local signature=${1##*.} other=A
  if [ "${signature:0:1}" = A ]; then other=B; fi
  echo "${1%.*}.$other${signature:1}"
}

row() {
  printf '%-5s  %-28s  %-27s  %-6s  %-8s  %s\n' "$@"
}

command -v curl >/dev/null || { echo "error: the demo needs curl" >&2; exit 1; }
envoy=$(envoy/fetch-envoy.sh)

# Envoy's listeners share ports (SO_REUSEPORT): a second Envoy would not fail, and half of the samples would go to the first.
for port in 9901 10000 10001 10002; do
  if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "error: port $port of 127.0.0.1 is taken. Does another demo run?" >&2
    exit 1
  fi
done

mkdir -p target
"$envoy" -c envoy/envoy.yaml --disable-hot-restart --concurrency 2 --log-level warning --component-log-level wasm:info >"$log" 2>&1 &
envoy_pid=$!
trap 'kill "$envoy_pid" 2>/dev/null || true; wait "$envoy_pid" 2>/dev/null || true' EXIT

SECONDS=0
until curl --silent --fail --output /dev/null "$admin/ready"; do
  if ! kill -0 "$envoy_pid" 2>/dev/null || [ "$SECONDS" -gt 60 ]; then
    tail -n 20 "$log" >&2
    echo "error: Envoy did not start. Its log: $log" >&2
    exit 1
  fi
  sleep 0.1
done

row '' 'sample' 'request' 'status' 'code' 'message'
samples
echo
echo "$((total - wrong)) of $total samples were answered as expected. Envoy's log: $log"
if [ "${DEMO_ONCE:-}" = 1 ]; then exit $((wrong > 0)); fi

cat <<MESSAGE

Send more, in another terminal (a license token is accepted for 90 seconds):

  TOKEN=\$(${mint[*]} --key envoy/keys/demo-es256.private.jwk)
  curl --include --data challenge --header "Authorization: \$TOKEN" $proxy/license/widevine

The keys are described in envoy/keys/README.md, the options of mint by: $mdrm mint --help

Envoy serves until you press Ctrl-C.
MESSAGE
trap 'exit $((wrong > 0))' INT TERM
wait "$envoy_pid"
