#!/usr/bin/env bash
# What Prometheus makes of /metrics: promtool lints the page, and a real Prometheus scrapes it, in each
# of the two formats.
#
# Takes promtool and prometheus from the PATH, else unpacks Debian's package into target/ without
# installing it. Where neither can be had, this says so and skips.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

skip() {
    printf '\nSKIPPED: the tests with Prometheus did not run: %s\n\n' "$1" >&2
    echo "0 passed, 0 failed"
    exit 0
}

target=${CARGO_TARGET_DIR:-$PWD/target}
home=$target/e2e/prometheus
if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
    if [[ ! -x $home/usr/bin/promtool ]]; then
        command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || skip "no promtool and prometheus on the PATH"
        mkdir -p "$home"
        (cd "$home" && apt-get download prometheus >apt.log 2>&1) || skip "Debian's package cannot be had"
        dpkg-deb -x "$home"/prometheus_*.deb "$home"
    fi
    PATH=$home/usr/bin:$PATH
fi

cargo build --quiet --package keystead-server
# A proxy of the environment has no business on loopback.
export no_proxy=127.0.0.1
work=$(mktemp -d)
started=()
cleanup() {
    for id in "${started[@]}"; do kill "$id" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

passed=0 failed=0
check() {
    local what=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        passed=$((passed + 1))
        echo "ok: $what"
    else
        failed=$((failed + 1))
        echo "FAILED: $what" >&2
        cat "$work/out" >&2
    fi
}
# Up to half a minute for something that takes a moment.
until_so() {
    for _ in {1..300}; do
        if "$@"; then return 0; fi
        sleep 0.1
    done
    return 1
}

cat >"$work/keystead.yaml" <<'YAML'
listen: 127.0.0.1:0
admin_listen: 127.0.0.1:0
log: {format: json}
providers:
  local:
    issuer: local
    audiences: any
    keys: '{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
  dark: {issuer: dark, audiences: any, jwks_url: 'http://127.0.0.1:9/certs'}
  portal: {issuer: x, audiences: any, jwks_url: abc}
YAML
"$target/debug/keystead" serve --config "$work/keystead.yaml" 2>"$work/keystead.log" &
started+=($!)
address() { sed -nE 's/.*"listener":"'"$1"'","address":"([^"]*)".*/\1/p' "$work/keystead.log"; }
said() { [[ -n $(address public) && -n $(address admin) ]] && grep -q provider.fetch_failed "$work/keystead.log"; }
until_so said || { cat "$work/keystead.log" >&2; exit 1; }
public=$(address public) admin=$(address admin)
for token in '' x a.b.c; do
    curl -s -o /dev/null "http://$public/v1/auth/forward" -H "Authorization: Bearer $token"
done

lint() { curl -sf "http://$admin/metrics" | promtool check metrics; }
check "promtool finds nothing in the text of Prometheus" lint

# Prometheus refuses a page whole when one line of it is wrong.
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
scraped() { # PORT QUERY: is there a result
    curl -s "http://127.0.0.1:$1/api/v1/query" --data-urlencode "query=$2" | grep -q '"value":\['
}
scrape() { # NAME: a Prometheus that scrapes it by this address
    local at
    at=$(port)
    cat >"$work/$1.yml" <<YAML
global: {scrape_interval: 1s}
scrape_configs: [{job_name: keystead, static_configs: [{targets: ['$2']}]}]
YAML
    prometheus --config.file="$work/$1.yml" --storage.tsdb.path="$work/$1" --web.listen-address="127.0.0.1:$at" \
        >"$work/$1.log" 2>&1 &
    started+=($!)
    until_so scraped "$at" 'up{job="keystead"} == 1' || { cat "$work/$1.log"; return 1; }
    for query in \
        'keystead_build_info' \
        'keystead_verifications_total{code="token.segments",provider="none"} >= 1' \
        'keystead_verification_duration_seconds_bucket{le="+Inf"} >= 1' \
        'keystead_provider_state{provider="dark",state="cold"} == 1' \
        'keystead_provider_state{provider="portal",state="disabled"} == 1' \
        'keystead_provider_fetches_total{provider="dark",result="connect"} >= 1'; do
        scraped "$at" "$query" || { echo "not there: $query"; return 1; }
    done
}
# It asks for OpenMetrics first; the proxy between asks for nothing in particular.
check "Prometheus scrapes OpenMetrics" scrape openmetrics "$admin"
plain=$(port)
python3 - "$admin" "$plain" <<'PY' &
import http.server, sys, urllib.request

class Plain(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with urllib.request.urlopen(f"http://{sys.argv[1]}/metrics") as page:
            body, kind = page.read(), page.headers["Content-Type"]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Plain).serve_forever()
PY
started+=($!)
check "Prometheus scrapes its own text format" scrape plain "127.0.0.1:$plain"

echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
