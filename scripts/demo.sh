#!/usr/bin/env bash
# Tells the field stories in this terminal: two local providers, the server, and real requests to it.
#
# Needs no outside service, and leaves nothing running and nothing behind. Each answer is compared
# with what the story promises, so that a demo that ends well is a test that passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stage=$(mktemp -d)
pids=()
finish() {
    local code=$?
    if ((${#pids[@]})); then
        kill "${pids[@]}" 2>/dev/null || true
        wait "${pids[@]}" 2>/dev/null || true
    fi
    if ((code != 0)) && [[ -s $stage/keystead.log ]]; then
        printf '\nthe last lines of the server:\n' >&2
        tail -n 15 "$stage/keystead.log" >&2
    fi
    rm -rf "$stage"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

bold='' dim='' green='' red='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi
title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
note() { printf '  %s\n' "$@"; }
fail() {
    printf '%serror: %s%s\n' "$red" "$1" "$plain" >&2
    exit 1
}

# Waits, for at most 20 s, until a command succeeds.
until_true() {
    local deadline=$((SECONDS + 20))
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

# ask STATUS TOKEN STORY: one request with that bearer token, and what came back.
ask() {
    local expected=$1 token=$2 story=$3 status
    status=$(request "$token")
    if [[ $status == "$expected" ]]; then
        printf '  %s%s%s  %s\n' "$green" "$status" "$plain" "$story"
    else
        printf '  %s%s%s  %s\n' "$red" "$status" "$plain" "$story"
        fail "expected $expected"
    fi
    python3 - "$stage" <<'PYTHON'
import json, pathlib, sys, textwrap
stage = pathlib.Path(sys.argv[1])
headers = dict(
    line.split(": ", 1) for line in (stage / "headers").read_text().splitlines() if ": " in line
)
headers = {name.lower(): value for name, value in headers.items()}
body = (stage / "body").read_text()
lines = []
if body.startswith("{"):
    refusal = json.loads(body)
    lines.append(f"{refusal['code']}: {refusal['error_description']}")
    if "retry-after" in headers:
        lines[0] += f" (Retry-After: {headers['retry-after']})"
    if "hint" in refusal:
        lines.append(f"hint: {refusal['hint']}")
else:
    names = ("x-keystead-subject", "x-keystead-provider")
    lines.append(", ".join(f"{name}: {headers[name]}" for name in names if name in headers))
for line in lines:
    print(textwrap.fill(line, 96, initial_indent="       ", subsequent_indent="         "))
PYTHON
}

request() {
    curl --silent --show-error --output "$stage/body" --dump-header "$stage/headers" \
        --write-out '%{http_code}' --header "Authorization: Bearer $1" "$url/v1/auth/forward"
}
answers() { [[ $(request "$2") == "$1" ]]; }

# provider NAME ARGUMENTS: starts a local provider, and reads where it is.
provider() {
    local name=$1
    shift
    "$keystead" idp --listen 127.0.0.1:0 --control 127.0.0.1:0 "$@" >"$stage/$name.idp" 2>&1 &
    pids+=($!)
    until_true grep -qs '^control ' "$stage/$name.idp" || fail "provider $name did not start"
}
control() { sed -n 's/^control //p' "$stage/$1.idp"; }
issuer() { sed -n "s/^$2: issuer //p" "$stage/$1.idp"; }
keys() { grep -A2 "^$2: " "$stage/$1.idp" | sed -n 's/^  keys //p'; }
mint() { "$keystead" idp mint --control "$(control "$1")" --realm "$2" --aud shop "${@:3}"; }

# Starts the server and reads where it listens; its log goes to a file.
serve() {
    "$keystead" serve --config "$stage/keystead.yaml" "$@" >"$stage/keystead.out" 2>"$stage/keystead.log" &
    server=$!
    pids+=("$server")
    until_true listening || fail "the server did not start"
    url=http://$(address public) admin=http://$(address admin)
}
listening() { [[ -n $(address public) && -n $(address admin) ]]; }
address() {
    sed -n "/listener=\"$1\"/s/.*address=\"\([0-9.:]*\)\".*/\1/p" "$stage/keystead.log" | head -n 1
}

# states NAME...: each provider's state word and reason, as the admin listener tells them.
states() {
    curl --silent --show-error "$admin/status.json" | python3 -c '
import json, sys, textwrap
providers = json.load(sys.stdin)["providers"]
for name in sys.argv[1:]:
    provider = providers[name]
    start = "    {:<12}{:<9} ".format(name, provider["state"])
    print(textwrap.fill(provider["reason"], 96, initial_indent=start, subsequent_indent=" " * 26))
' "$@"
}
says() { states "$1" | tr -s ' \n' ' ' | grep -q "$2"; }
stop_server() {
    kill "$server"
    wait "$server" 2>/dev/null || true
}

refresh() { curl --silent --show-error --output "$stage/refresh" --request POST "$admin/-/refresh/$1"; }
asked() {
    "$keystead" idp state --control "$(control "$1")" --format json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["realms"][sys.argv[1]]["requests"]["jwks"])' "$2"
}
resident() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$server/status"; }

# flood TOKEN COUNT: the token again and again, each time with another kid in its header.
flood() {
    python3 - "$url" "$@" <<'PYTHON'
import base64, collections, http.client, json, sys
url, token, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
header, rest = token.split(".", 1)
header = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
connection, answers = http.client.HTTPConnection(url.removeprefix("http://")), collections.Counter()
for number in range(count):
    made_up = json.dumps({**header, "kid": f"made-up-{number}"}).encode()
    made_up = base64.urlsafe_b64encode(made_up).decode().rstrip("=")
    connection.request("GET", "/v1/auth/forward", headers={"Authorization": f"Bearer {made_up}.{rest}"})
    answer = connection.getresponse()
    answer.read()
    answers[f"{answer.status} {answer.getheader('x-keystead-reason')}"] += 1
for answer, times in answers.items():
    print(f"  {answer}, {times} times")
PYTHON
}

printf '%sBuilding keystead%s\n' "$bold" "$plain"
cargo build --locked --package keystead-server
keystead=${CARGO_TARGET_DIR:-target}/debug/keystead

provider one --realm acme
provider two --realm partner --realm vault=https://vault.invalid
curl --silent --show-error --output "$stage/vault.jwks" "$(keys two vault)"

cat >"$stage/keystead.yaml" <<YAML
version: 1
listen: 127.0.0.1:0
admin_listen: 127.0.0.1:0
drain: 0s
refusal_detail: hint    # for this demo: callers are told what otherwise only the log says
log: { format: text }
providers:
  acme:
    issuer: $(issuer one acme)
    audiences: [shop]
  partner:
    issuer: $(issuer two partner)
    audiences: [shop]
  empty:
    issuer: https://empty.example
    jwks_url: ""
    discovery: off
    audiences: [shop]
  typo:
    issuer: https://typo.example
    jwks_url: abc
    audiences: [shop]
  unreachable:
    issuer: http://127.0.0.1:1/realms/nobody
    audiences: [shop]
  vault:
    issuer: https://vault.invalid
    keys_file: $stage/vault.jwks
    discovery: issuer
    audiences: [shop]
YAML

title 'Two providers are up. Three others never were.'
serve
acme=$(mint one acme) partner=$(mint two partner --sub bob)
until_true answers 200 "$acme" || fail 'acme never became ready'
until_true answers 200 "$partner" || fail 'partner never became ready'
until_true says unreachable 'connection refused' || fail 'nobody says why a provider is not there'
note "${dim}keystead serve started all the same; its status says of each, in one sentence:${plain}"
states acme partner empty typo unreachable
ask 200 "$acme" 'a token of acme'
ask 200 "$partner" 'a token of partner'

title 'One provider dies.'
"$keystead" idp down --control "$(control one)" >/dev/null
note "${dim}acme refuses connections from now on; its last known keys stay good.${plain}"
ask 200 "$acme" 'a token of acme'
ask 200 "$partner" 'a token of partner'

title 'The server is restarted while that provider is down.'
stop_server
serve
until_true answers 200 "$partner" || fail 'partner never became ready'
ask 200 "$partner" 'a token of partner, at once'
ask 503 "$acme" 'a token of acme: nobody can judge it now, which is not its fault'
until_true says acme 'connection refused' || fail 'nobody says why acme is not there'
states acme
"$keystead" idp up --control "$(control one)" >/dev/null
until_true answers 200 "$acme" || fail 'acme never healed'
ask 200 "$acme" 'the same token after acme came back; nothing was restarted'

title 'A caller sends "Authorization: Bearer " and nothing after it.'
ask 401 '' 'an empty token'

title 'A token names an alias of the issuer.'
alias=$(issuer one acme | sed 's/127\.0\.0\.1/localhost/')
ask 401 "$(mint one acme --claim "iss=$alias")" "issuer $alias"

title 'A key in a file, behind an issuer whose name does not resolve.'
ask 200 "$(mint two vault --sub carol)" 'discovery is no gate in front of the key'
states vault

title 'A provider begins to answer with a login page, then with an empty set.'
for fault in html empty_set; do
    "$keystead" idp fault "$fault" --document jwks --control "$(control one)" >/dev/null
    refresh acme
    states acme
done
ask 200 "$acme" 'a token of acme: a failure never removes a key'
"$keystead" idp heal --control "$(control one)" >/dev/null
refresh acme
states acme

title 'A realm is made again: all its keys are new.'
"$keystead" idp recreate --control "$(control two)" --realm partner >/dev/null
ask 200 "$(mint two partner --sub dora)" 'the first token with a new key: one fetch, at once'

title 'Somebody sends a thousand tokens with made-up kids.'
before=$(asked one acme) rss=$(resident)
flood "$acme" 1000
note "acme was asked $(($(asked one acme) - before)) times for keys, memory grew by $(($(resident) - rss)) KiB"
(($(asked one acme) - before <= 1)) || fail 'made-up kids caused more than one fetch'
ask 200 "$acme" 'a token of acme'

title 'Everything is restarted while no provider is there.'
stop_server
serve --set "state_dir=$stage/state"
saved() { [[ -s $stage/state/acme.json && -s $stage/state/partner.json ]]; }
until_true saved || fail 'the keys were not kept on disk'
acme=$(mint one acme) partner=$(mint two partner --sub bob)
"$keystead" idp down --control "$(control one)" >/dev/null
"$keystead" idp down --control "$(control two)" >/dev/null
stop_server
serve --set "state_dir=$stage/state"
note "${dim}with state_dir set, keys outlive the server that fetched them.${plain}"
ask 200 "$acme" 'a token of acme'
ask 200 "$partner" 'a token of partner'
states acme

title 'Where to go from here'
cat <<TEXT
  keystead idp                                   a provider to play with, on 127.0.0.1:8090
  keystead idp mint --aud shop                   a token of it
  keystead verify --issuer ISSUER --audience shop --jwks-url URL < TOKEN
  keystead explain --config keystead.yaml < TOKEN
  keystead check keystead.yaml                   every mistake in a configuration at once
  keystead serve --config keystead.yaml          the server you just saw

  The program is $keystead; nothing of this demo is left running.
TEXT
