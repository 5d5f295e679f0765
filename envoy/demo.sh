#!/usr/bin/env bash
# What `make demo` runs once all is built: starts Envoy with envoy/envoy.yaml, sends the samples below, prints what came back,
# and serves until interrupted. DEMO_ONCE=1 ends it after the table. The exit status is 1 if a sample was answered otherwise than expected.
set -euo pipefail
cd "$(dirname "$0")/.."

mdrm=${CARGO_TARGET_DIR:-target}/debug/mdrm
proxy=http://127.0.0.1:10000
enforcing=http://127.0.0.1:10003
admin=http://127.0.0.1:9901
log=target/demo-envoy.log
mint=("$mdrm" mint --sub movie-1)

# sample EXPECTED WHAT 'METHOD PATH [HEADER: VALUE]' [CARRIAGE KEY [OPTION]...]
# KEY names a file in envoy/keys, OPTION is one of `mdrm mint`. CARRIAGE is
#   header, bearer, query      a token in the header, with the scheme Bearer, or in the query
#   forged                     in the header, with another signature
#   tunnel, tunnel-forged      inside a Trust Tunnel body, and with another tag of the encryption
#   signed                     no token: the parameters of a signed CPIX request
# $to is the proxy, $body what is posted. EXPECTED says "session" where the license server must get a session token, and must not elsewhere.
# The time 4102444800 is in the year 2100.
samples() {
  local to=$proxy body=challenge document master=(--master-key envoy/keys/demo-master.private.jwk)
  sample '200 session'  'token in the header'             'POST /license/widevine'      header es256
  sample '200 session'  'with the scheme Bearer'          'POST /license/playready'     bearer rs256
  sample '200 session'  'token in the query'              'POST /license/fairplay?id=7' query  eddsa
  sample '200'          'open route'                      'GET /fairplay/certificate'
  sample '200'          'a session token of the client'   'GET /healthz X-Mdrm-Session: forged'
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
  sample '401 MDRM-506' 'session key never registered'    'POST /license/widevine'      header no-session
  sample '500 MDRM-507' 'session key is broken'           'POST /license/widevine'      header broken-session
  sample '500 MDRM-500' 'key service fails'               'POST /license/widevine'      header outage

  sample '200 session'  'Trust Tunnel'                    'POST /license/widevine'      tunnel es256 "${master[@]}"
  sample '400 MDRM-517' 'Trust Tunnel, not encrypted'     'POST /license/widevine Content-Type: application/jose'
  sample '403 MDRM-518' 'master key never registered'     'POST /license/widevine'      tunnel es256 --master-key envoy/keys/demo-unregistered-master.private.jwk
  sample '400 MDRM-519' 'forged encryption'               'POST /license/widevine'      tunnel-forged es256 "${master[@]}"
  sample '401 MDRM-508' 'old token inside'                'POST /license/widevine'      tunnel es256 "${master[@]}" --age 10m
  sample '403 MDRM-521' 'token inside is for plain ones'  'POST /license/widevine'      tunnel es256 "${master[@]}" --claim drm_protocol=REST
  sample '403 MDRM-521' 'token is for Trust Tunnel'       'POST /license/widevine'      header es256 --claim 'drm_protocol=Trust Tunnel'
  to=$enforcing
  sample '200'          'enforcing: Trust Tunnel'         'POST /license/widevine'      tunnel es256 "${master[@]}"
  sample '403 MDRM-520' 'enforcing: plain request'        'POST /license/widevine'      header es256

  to=$proxy
  document='<CPIX xmlns="urn:dashif:org:cpix" contentId="movie-1"/>'
  body=$document
  sample '200 session'  'CPIX'                            'POST /cpix'                  header cpix
  sample '401 MDRM-914' 'signed CPIX without a signature' 'POST /cpix/signed'           signed cpix
  sample '400 MDRM-514' 'signed CPIX, no parameters'      'POST /cpix/signed'
  body='<CPIX xmlns="urn:dashif:org:cpix"/>'
  sample '400 MDRM-903' 'CPIX without a content'          'POST /cpix'                  header cpix
  body=${document/movie-1/movie-2}
  sample '400 MDRM-905' 'CPIX for another content'        'POST /cpix'                  header cpix
  body=challenge
  sample '400 MDRM-910' 'not a CPIX document'             'POST /cpix'                  header cpix

  document=$("$mdrm" sign-cpix --key envoy/keys/demo-cpix.private.jwk /dev/stdin <<<"$document")
  body=$document
  sample '200 session'  'signed CPIX'                     'POST /cpix/signed'           signed cpix
  sample '401 MDRM-916' 'signed by another key'           'POST /cpix/signed'           signed es256
  sample '401 MDRM-917' 'by a key that signs no XML'      'POST /cpix/signed'           signed eddsa
  body=${document/movie-1/movie-2}
  sample '401 MDRM-916' 'content changed after signing'   'POST /cpix/signed'           signed cpix
  body=${document/URI=\"\"/URI=\"#part\"}
  sample '401 MDRM-915' 'signature over a part'           'POST /cpix/signed'           signed cpix
  body=${document/ecdsa-sha256/ecdsa-sha1}
  sample '401 MDRM-918' 'signature with SHA-1'            'POST /cpix/signed'           signed cpix
}

total=0
wrong=0
session=''

sample() {
  local expected=$1 what=$2 method path headers carriage=${4:-none} key=${5:-} body=$body
  local url token='' response status='' code='' message='' got verdict=ok received='' curl_options=()
  read -r method path headers <<<"$3"
  url=$to$path

  case $carriage in
    none | signed) ;;
    tunnel*) body=$("${mint[@]}" --tunnel --key "envoy/keys/demo-$key.private.jwk" "${@:6}") ;;
    *) token=$("${mint[@]}" --key "envoy/keys/demo-$key.private.jwk" "${@:6}") ;;
  esac
  case $carriage in
    header) headers+=$'\n'"Authorization: $token" ;;
    forged) headers+=$'\n'"Authorization: $(with_another_end "$token")" ;;
    bearer) headers+=$'\n'"Authorization: Bearer $token" ;;
    query) url+="&Authorization=$token" ;;
    tunnel*) headers+=$'\n''Content-Type: application/jose' ;;
    signed) url+="?kid=demo-$key&sub=movie-1&iss=demo-operator" ;;
  esac
  if [ "$carriage" = tunnel-forged ]; then body=$(with_another_end "$body"); fi
  case $method in
    POST) curl_options=(--data-binary "$body") ;;
    OPTIONS) headers+=$'\n''Access-Control-Request-Method: POST' ;;
  esac

  response=$(curl --silent --include --max-time 20 --request "$method" "${curl_options[@]}" --header @- "$url" <<<"$headers") || true
  if [[ $response =~ ^HTTP/[0-9.]+\ ([0-9]+) ]]; then status=${BASH_REMATCH[1]}; fi
  if [[ $response =~ \"code\":\"([^\"]*)\" ]]; then code=${BASH_REMATCH[1]}; fi
  if [[ $response =~ \"message\":\"([^\"]*)\" ]]; then message=${BASH_REMATCH[1]}; fi
  if [[ $response =~ x-received:\ ([^$'\r\n']*) ]]; then
    message="reached the license server as ${BASH_REMATCH[1]}"
    if [[ $response =~ x-received-body:\ ([^$'\r\n']*) ]]; then received=${BASH_REMATCH[1]}; fi
    case $carriage in tunnel) message+=" with $received" ;; esac
    if [[ $response =~ x-received-content-id:\ ([^$'\r\n']*) ]]; then message+=", for ${BASH_REMATCH[1]}"; fi
  elif [ "$status" = 200 ]; then
    message='answered by Envoy, before the filter'
  fi

  got=${status:-no answer}${code:+ $code}
  if [[ $response =~ x-received-session:\ ([^$'\r\n']*) ]]; then
    got+=' session'
    session=${session:-${BASH_REMATCH[1]}}
  fi
  if [ -n "$token" ] && [[ $response == *"$token"* ]]; then got+=', and the token came back'; fi
  total=$((total + 1))
  if [ "$got" != "$expected" ]; then
    wrong=$((wrong + 1))
    verdict=WRONG
    message="expected $expected, got $got. $message"
  fi
  row "$verdict" "$what" "$method $path" "${status:--}" "${code:--}" "$message"
}

# Another last part: the signature of a token, the tag of an encryption.
with_another_end() {
  # Changes the first character: the last one has unused bits, which must stay 0.
  local end=${1##*.} other=A
  if [ "${end:0:1}" = A ]; then other=B; fi
  echo "${1%.*}.$other${end:1}"
}

# What a token claims, unverified.
claims() {
  local payload=${1#*.}
  payload=${payload%%.*}===
  tr -- '-_' '+/' <<<"${payload:0:${#payload} / 4 * 4}" | base64 --decode
}

row() {
  printf '%-5s  %-31s  %-27s  %-6s  %-8s  %s\n' "$@"
}

command -v curl >/dev/null || { echo "error: the demo needs curl" >&2; exit 1; }
envoy=$(envoy/fetch-envoy.sh)

# Envoy's listeners share ports (SO_REUSEPORT): a second Envoy would not fail, and half of the samples would go to the first.
for port in 9901 10000 10001 10002 10003; do
  if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "error: port $port of 127.0.0.1 is taken. Does another demo run?" >&2
    exit 1
  fi
done

mkdir -p target
"$envoy" -c envoy/envoy.yaml --disable-hot-restart --concurrency 2 --log-level warning --component-log-level wasm:info --file-flush-interval-msec 500 >"$log" 2>&1 &
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
if [ -n "$session" ]; then echo "The session token of the first sample: $(claims "$session")"; fi
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
