//! The program beside Envoy's filter `jwt_authn`, which most who put a proxy in front of their services
//! would use in its place.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use keystead_bench::tokens::{self, AUDIENCE};
use keystead_testkit::SigningKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::figure::Figure;
use crate::load::Face;
use crate::request::Connection;
use crate::rounds::interleaved;
use crate::served::{CORE, Served, needs_wrk};
use crate::server::{Cache, Running, Server, on_cores, until};
use crate::{Bench, Result, provider};

const ROUNDS: usize = 8;
const TOKENS: usize = 1000;
const UNCACHED_BAR: f64 = 2.3;
const CACHED_BAR: f64 = 3.0;
const ISSUER: &str = "https://files.test.example";

/// The names of its listeners.
const FORGETS: &str = "forgets";
const REMEMBERS: &str = "remembers";

/// Where `scripts/bench.sh` says that Envoy is.
const PROGRAM: &str = "KEYSTEAD_BENCH_ENVOY";

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    needs_wrk()?;
    let program = std::env::var_os(PROGRAM).ok_or("there is no Envoy on this machine")?;
    let key = SigningKey::fixed_rsa(0)?;
    let tokens = tokens::many(ISSUER, &key, TOKENS)?;
    let token = tokens.first().ok_or("no token")?;
    let envoy = Envoy::start(Path::new(&program), &key)?;
    let folder = tempfile::tempdir()?;
    let ours = |cache: Cache| -> Result<Server> {
        let files = provider::with_file("files", ISSUER, &key, &folder.path().join("key.json"))?;
        let server = Server::start_with(bench, cache.settings(), &[files], CORE)?;
        server.wait_for(token)?;
        Ok(server)
    };
    let (uncached, cached) = (ours(Cache::Off)?, ours(Cache::Default)?);
    let served = |process, address| Served::new(process, address, Face::ForwardAuth, &tokens);
    let mut uncached = served(uncached.id(), uncached.public);
    let mut cached = served(cached.id(), cached.public);
    let mut theirs_uncached = served(envoy.process.id(), envoy.listener(FORGETS, token)?);
    let mut theirs_cached = served(envoy.process.id(), envoy.listener(REMEMBERS, token)?);
    let [of_uncached, of_theirs_uncached, of_cached, of_theirs_cached] = interleaved(
        ROUNDS,
        [
            Box::new(|| uncached.round()),
            Box::new(|| theirs_uncached.round()),
            Box::new(|| cached.round()),
            Box::new(|| theirs_cached.round()),
        ],
    )?;
    let theirs = theirs_uncached.cost(of_theirs_uncached);
    let theirs_cached = theirs_cached.cost(of_theirs_cached);
    let beside = |figure: Figure| {
        let notes = format!("{}; {}", figure.notes, envoy.version);
        figure.notes(notes)
    };
    Ok(vec![
        beside(uncached.cost(of_uncached).times("envoy.uncached_ratio", &theirs))
            .at_least(UNCACHED_BAR),
        beside(cached.cost(of_cached).times("envoy.cached_ratio", &theirs_cached))
            .at_least(CACHED_BAR),
    ])
}

/// A running Envoy with one listener that remembers tokens and one that does not.
struct Envoy {
    process: Running,
    admin: String,
    version: String,
    _folder: TempDir,
}

impl Envoy {
    fn start(program: &Path, key: &SigningKey) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (file, admin_at) = (folder.path().join("envoy.json"), folder.path().join("admin"));
        std::fs::write(&file, configuration(key).to_string())?;
        let mut command = on_cores(program, CORE);
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]);
        command.arg("--config-path").arg(&file).arg("--admin-address-path").arg(&admin_at);
        let process = Running::start(&mut command)?;
        let mut admin = String::new();
        until("Envoy to listen", || {
            admin = std::fs::read_to_string(&admin_at).unwrap_or_default();
            Ok(!admin.is_empty())
        })?;
        // It says: PROGRAM  version: REVISION/1.40.0/Clean/RELEASE/BoringSSL
        let said = String::from_utf8(Command::new(program).arg("--version").output()?.stdout)?;
        let build = said.rsplit_once("version: ").and_then(|(_, build)| build.split('/').nth(1));
        let version = format!("Envoy {}", build.unwrap_or("of an unknown version"));
        Ok(Self { process, admin, version, _folder: folder })
    }

    /// Where this listener listens, once it lets this token through.
    fn listener(&self, name: &str, token: &str) -> Result<SocketAddr> {
        let mut found = None;
        until("a listener of Envoy", || {
            // NAME::ADDRESS on each line.
            let mut curl = Command::new("curl");
            let output = curl.args(["--silent", &format!("http://{}/listeners", self.admin)]);
            let listeners = String::from_utf8(output.output()?.stdout)?;
            let mut named = listeners.lines().filter_map(|line| line.split_once("::"));
            found = named.find(|(known, _)| *known == name).and_then(|(_, at)| at.parse().ok());
            let Some(address) = found else { return Ok(false) };
            Ok(Connection::open(address)?.ask(token)?.0 == 200)
        })?;
        found.ok_or_else(|| "it was there a moment ago".into())
    }
}

fn configuration(key: &SigningKey) -> Value {
    let anywhere = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } });
    let listener = |name: &str, cache: Value| {
        json!({
            "name": name,
            "address": anywhere,
            "filter_chains": [{ "filters": [connections(key, &cache)] }],
        })
    };
    // As many tokens as Keystead remembers where nothing else is configured.
    let cache = json!({ "jwt_cache_size": 10_000, "jwt_max_token_size": 4096 });
    json!({
        "admin": { "address": anywhere },
        "static_resources": {
            "listeners": [listener(FORGETS, Value::Null), listener(REMEMBERS, cache)],
        },
    })
}

/// HTTP without a log, where every request is judged and then answered at once.
fn connections(key: &SigningKey, cache: &Value) -> Value {
    let manager = "envoy.extensions.filters.network.http_connection_manager.v3";
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": format!("type.googleapis.com/{manager}.HttpConnectionManager"),
            "stat_prefix": "bench",
            "codec_type": "HTTP1",
            "route_config": {
                "virtual_hosts": [{
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }],
                }],
            },
            "http_filters": [judging(key, cache), {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                },
            }],
        },
    })
}

fn judging(key: &SigningKey, cache: &Value) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": { "inline_string": json!({ "keys": [key.jwk()] }).to_string() },
    });
    if let (Some(provider), false) = (provider.as_object_mut(), cache.is_null()) {
        provider.insert("jwt_cache_config".to_owned(), cache.clone());
    }
    let filter = "envoy.extensions.filters.http.jwt_authn.v3";
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": format!("type.googleapis.com/{filter}.JwtAuthentication"),
            "providers": { "bench": provider },
            "rules": [{
                "match": { "prefix": "/" },
                "requires": { "provider_name": "bench" },
            }],
        },
    })
}
