//! The configuration as operators meet it: files, variables and flags in, providers or mistakes out.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the functions that tests share are tests")]

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use keystead::config::{
    AdminListen, Config, ConfigFile, DiscoveryAddress, EndpointOrigin, Layers, LogDecisions,
    LogFormat, NoticeLevel, Origin, Problem, ProviderConfig, RefusalDetail, Scope, SourceConfig,
    Standing, check,
};
use keystead::core::DisabledWhy;
use keystead::core::{Algorithm, AlgorithmSet, Audiences, ClaimRule};
use keystead::http::Proxies;

/// The public key of RFC 8037, appendix A.2.
const ED25519: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn file(name: &str, text: &str) -> Layers {
    let file = ConfigFile { path: PathBuf::from(name), text: text.to_owned() };
    Layers { file: Some(file), ..Layers::default() }
}

fn yaml(text: &str) -> Layers {
    file("keystead.yaml", text)
}

fn with_env(text: &str, env: &[(&str, &str)]) -> Layers {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Layers { env: env.iter().map(own).collect(), ..yaml(text) }
}

fn load(layers: &Layers) -> Config {
    Config::load(layers).unwrap_or_else(|error| panic!("{error}"))
}

fn provider(settings: &str) -> ProviderConfig {
    let text = format!("providers:\n  p:\n{}", indented(settings));
    load(&yaml(&text)).providers.remove(0)
}

fn indented(settings: &str) -> String {
    format!("    {}\n", settings.replace('\n', "\n    "))
}

fn disabled(provider: &ProviderConfig) -> (DisabledWhy, &str) {
    match &provider.standing {
        Standing::Disabled { why, reason } => (*why, reason),
        standing => panic!("{} is {standing:?}", provider.name),
    }
}

fn sources(provider: &ProviderConfig) -> Vec<String> {
    provider.sources.iter().map(|source| format!("{source:?}")).collect()
}

fn lines(problems: &[Problem]) -> Vec<u32> {
    let line = |problem: &Problem| match problem.origin {
        Origin::File { line, .. } => line,
        _ => 0,
    };
    problems.iter().map(line).collect()
}

#[test]
fn the_example_of_the_design_is_clean() {
    let layers = yaml(
        "version: 1
listen: 127.0.0.1:8080
providers:                      # a map, so that env and overlays can reach every value
  keycloak:
    issuer: https://keycloak.acme.example/realms/akko       # compared with iss, exactly
    aliases: []                                             # further iss values
    audiences: [catalog-manager]
    jwks_url: http://akko-keycloak:8080/realms/akko/protocol/openid-connect/certs
  gitlab:
    issuer: https://gitlab.example.com
    discovery_url: http://gitlab-webservice:8181/.well-known/openid-configuration
    endpoint_origin: discovery
    audiences: [gitlab-ai-gateway]
  local:
    issuer: gitlab-ai-gateway                               # not every issuer is a URL
    keys_file: /etc/keystead/local.pem                      # PEM, JWK or JWK Set; watched
    audiences: [gitlab-ai-gateway]
",
    );
    assert_eq!(check(&layers), []);
    let config = load(&layers);
    assert_eq!(config.notices(), []);
    assert!(config.providers.iter().all(ProviderConfig::is_enabled));
    let names: Vec<_> = config.providers.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["gitlab", "keycloak", "local"]);
    let SourceConfig::Discovery { address, endpoint_origin } = &config.providers[0].sources[0]
    else {
        panic!("{:?}", config.providers[0]);
    };
    assert!(matches!(address, DiscoveryAddress::Written(url) if url.port() == Some(8181)));
    assert_eq!(*endpoint_origin, EndpointOrigin::Discovery);
    let origins = |n: usize| -> Vec<String> {
        let rules = &config.providers[n].rules;
        rules.operator_origins.iter().map(url::Origin::ascii_serialization).collect()
    };
    assert_eq!(origins(0), ["http://gitlab-webservice:8181", "https://gitlab.example.com"]);
    assert_eq!(origins(1), ["http://akko-keycloak:8080", "https://keycloak.acme.example"]);
    assert!(origins(2).is_empty());
}

/// K1: an issuer, and keys from another place: no discovery.
#[test]
fn a_jwks_url_leaves_no_discovery() {
    let provider = provider(
        "issuer: https://keycloak.acme.example.com/realms/akko
jwks_url: http://rel-akko-keycloak:8080/realms/akko/protocol/openid-connect/certs
audiences: [a]",
    );
    assert!(provider.is_enabled());
    let url = "http://rel-akko-keycloak:8080/realms/akko/protocol/openid-connect/certs";
    assert_eq!(sources(&provider), [format!("JwksUrl({url:?})")]);
    assert_eq!(provider.policy.issuer, "https://keycloak.acme.example.com/realms/akko");
}

/// K3
#[test]
fn aliases_are_kept_as_written() {
    let provider = provider(
        "issuer: https://keycloak.d/realms/akko
aliases: [https://identity.d/realms/akko, https://login.d/realms/akko/, 007]
audiences: a",
    );
    let expected = ["https://identity.d/realms/akko", "https://login.d/realms/akko/", "007"];
    assert_eq!(provider.policy.aliases, expected);
}

/// K26
#[test]
fn several_key_sets_of_one_issuer_are_sources_of_one_provider() {
    let provider =
        provider("issuer: x\naudiences: a\njwks_url: [https://h/1, https://h/2, https://h/1]");
    assert_eq!(sources(&provider), [r#"JwksUrl("https://h/1")"#, r#"JwksUrl("https://h/2")"#]);
    let config = load(&yaml(
        "providers:
  id_tokens: {issuer: x, audiences: [a, b], jwks_url: https://h/2}
  access: {issuer: x, audiences: [b, a], jwks_url: https://h/1}
",
    ));
    assert_eq!(config.providers.len(), 1);
    assert_eq!(config.providers[0].name, "access");
    assert_eq!(config.providers[0].sources.len(), 2);
    assert_eq!(config.notices().len(), 1);
}

/// G31: the same URL for two providers is fetched once, with a note.
#[test]
fn a_provider_written_twice_is_fetched_once() {
    let config = load(&yaml(
        "providers:
  gitlab: {issuer: https://gitlab.example.com, audiences: a}
  portal: {issuer: https://gitlab.example.com, audiences: a}
",
    ));
    assert_eq!(config.providers.len(), 1);
    assert_eq!(config.providers[0].sources.len(), 1);
    assert!(config.notices()[0].text.contains("same as the provider \"gitlab\""));
    assert_eq!(config.notices()[0].path, "providers.portal");
}

/// G32
#[test]
fn an_issuer_keeps_its_path() {
    let provider = provider("issuer: https://h/gitlab\naudiences: a");
    let SourceConfig::Discovery { address: DiscoveryAddress::FromIssuer(url), .. } =
        &provider.sources[0]
    else {
        panic!("{provider:?}");
    };
    assert_eq!(url.as_str(), "https://h/gitlab");
}

/// G29
#[test]
fn an_issuer_that_is_no_url_serves_local_keys() {
    let provider =
        provider(&format!("issuer: gitlab-duo-workflow-service\naudiences: a\nkeys: '{ED25519}'"));
    assert!(provider.is_enabled());
    assert_eq!(sources(&provider), ["Inline(providers.p.keys)"]);
}

/// T8, T9, T25, T42, G3 and the rest of the states a provider can be left in.
#[test]
fn a_provider_that_cannot_take_part_says_why() {
    use DisabledWhy::{Misconfigured, Off, Unset};
    let cases = [
        // T8
        ("jwks_url: https://h/jwks\naudiences: a", Unset, "issuer is not set"),
        // T9
        ("", Unset, "write issuer, and jwks_url, discovery_url or keys"),
        ("issuer: ''\njwks_url: ' '", Unset, "nothing is set"),
        ("issuer: local\naudiences: a", Unset, "\"local\" is no URL: write jwks_url"),
        ("issuer: https://h\ndiscovery: off\naudiences: a", Unset, "discovery is off"),
        // G3
        (
            "issuer: https://h\naudiences: a\njwks_url: abc",
            Misconfigured,
            "jwks_url: \"abc\" is not an absolute URL (missing https://)",
        ),
        (
            "issuer: x\naudiences: a\ndiscovery_url: keycloak:8080/x",
            Misconfigured,
            "discovery_url: \"keycloak:8080/x\" is not an absolute URL (missing http://)",
        ),
        // T25
        (
            "issuer: x\naudiences: a\njwks_url: https://u:hunter2@h/jwks",
            Misconfigured,
            "holds a user name or password",
        ),
        ("issuer: https://u:hunter2@h\naudiences: a", Misconfigured, "user name or password"),
        ("issuer: https://h", Misconfigured, "audiences are missing"),
        ("issuer: https://h\naudiences: []", Misconfigured, "audiences are missing"),
        ("issuer: https://h\naudiences: [any, b]", Misconfigured, "stands in a list"),
        ("issuer: ' https://h'\naudiences: a", Misconfigured, "white space"),
        ("issuer: https://\naudiences: a", Misconfigured, "\"https://\" has no host"),
        ("issuer: x\naudiences: a\ndiscovery: issuer", Misconfigured, "is no URL"),
        (
            "issuer: https://h\naudiences: a\njwks_url: https://h/1\ndiscovery_url: https://h/2",
            Misconfigured,
            "contradict",
        ),
        ("issuer: https://h\naudiences: a\nscope: admin", Misconfigured, "no setting \"scope\""),
        ("issuer: https://h\naudiences: a\naudiences: b", Misconfigured, "written twice"),
        ("issuer: https://h\naudiences: a\nalgorithms: none", Misconfigured, "never accepted"),
        ("issuer: https://h\naudiences: a\nalgorithms: []", Misconfigured, "names no algorithm"),
        ("issuer: https://h\naudiences: a\nuse: of", Misconfigured, "not one of on, off"),
        ("issuer: https://h\naudiences: a\nkeys: garbage", Misconfigured, "cannot be used"),
        ("use: off\nissuer: https://h\naudiences: a", Off, "switched off"),
        ("use: off\nissuer: https://h\naudience: a", Off, "switched off"),
    ];
    for (settings, why, text) in cases {
        let provider = provider(settings);
        let (found, reason) = disabled(&provider);
        assert_eq!(found, why, "{settings}: {reason}");
        assert!(reason.contains(text), "{settings}: {reason}");
        assert!(!format!("{provider:?}{:?}", provider.problems()).contains("hunter2"));
    }
}

/// T42
#[test]
fn no_provider_at_all_is_refused() {
    for text in ["", "version: 1\n", "providers:\n", "providers: {}\n", "# nothing"] {
        let error = Config::load(&yaml(text)).unwrap_err();
        assert!(error.to_string().contains("no provider is configured"), "{error}");
        assert_eq!(error.problems()[0].scope, Scope::Fatal);
    }
    assert!(Config::load(&Layers::default()).is_err());
}

/// G1: a blank variable takes the file's URL away; the other providers go on.
#[test]
fn a_blank_url_disables_nothing_but_its_provider() {
    let text = format!(
        "providers:
  gitlab: {{issuer: https://gitlab.example.com, audiences: a}}
  customersdot: {{issuer: https://customers.example.com, audiences: a}}
  local: {{issuer: local, audiences: a, keys: ['{ED25519}', '{ED25519}']}}
"
    );
    let layers = with_env(&text, &[("KEYSTEAD_PROVIDERS__CUSTOMERSDOT__ISSUER", "")]);
    assert_eq!(check(&layers), []);
    let config = load(&layers);
    assert_eq!(disabled(&config.providers[0]).0, DisabledWhy::Unset);
    assert!(config.providers[1].is_enabled() && config.providers[2].is_enabled());
    let blank: Vec<_> = config.notices().iter().filter(|n| n.text.contains("blank")).collect();
    assert_eq!(blank.len(), 1);
    assert_eq!(
        blank[0].origin,
        Origin::Variable("KEYSTEAD_PROVIDERS__CUSTOMERSDOT__ISSUER".to_owned())
    );
}

/// G2: where nothing is written, no public place is added.
#[test]
fn an_absent_variable_adds_no_default() {
    let config = load(&with_env(
        "providers: {gitlab: {issuer: https://gitlab.example.com, audiences: a}}",
        &[("KEYSTEAD_PROVIDERS__PORTAL__AUDIENCES", "a")],
    ));
    assert_eq!(disabled(&config.providers[1]).0, DisabledWhy::Unset);
    assert!(config.providers[1].sources.is_empty());
    assert!(config.providers[1].rules.operator_origins.is_empty());
}

/// K8: blank means not written, everywhere.
#[test]
fn blank_takes_a_setting_away() {
    let text = "
defaults: {leeway: 10s, timeout: 1s, max_stale: }
providers:
  keycloak:
    issuer: https://k
    audiences: a
    jwks_url: https://k/certs
    leeway: ''
    refresh_interval: 1m
    scopes: [' ', ~]
    aliases: ['', b]
";
    let env = [("KEYSTEAD_PROVIDERS__KEYCLOAK__JWKS_URL", " "), ("KEYSTEAD_DEFAULTS__TIMEOUT", "")];
    let layers = with_env(text, &env);
    let config = load(&layers);
    let provider = &config.providers[0];
    assert!(provider.is_enabled(), "{provider:?}");
    assert_eq!(provider.sources.len(), 1, "discovery comes back: {provider:?}");
    assert!(matches!(provider.sources[0], SourceConfig::Discovery { .. }));
    assert_eq!(provider.policy.leeway, Duration::from_secs(60), "defaults are hidden too");
    assert_eq!(provider.refresh_interval, Duration::from_secs(60));
    assert_eq!(provider.rules.timeout, Duration::from_secs(5));
    assert_eq!(provider.max_stale, Some(Duration::from_secs(86_400)));
    assert_eq!(provider.policy.aliases, ["b"]);
    let mut noted: Vec<_> = config.notices().iter().map(|n| n.path.as_str()).collect();
    noted.sort_unstable();
    let expected = [
        "defaults.max_stale",
        "defaults.timeout",
        "providers.keycloak.aliases",
        "providers.keycloak.jwks_url",
        "providers.keycloak.leeway",
        "providers.keycloak.scopes",
    ];
    assert_eq!(noted, expected);
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let text = "
listen: 127.0.0.1:1
drain: 1s
limits: {token: 1KiB, body: 1KiB}
providers: {p: {issuer: https://file, audiences: file}}
";
    let env = [
        ("KEYSTEAD_LISTEN", "127.0.0.1:2"),
        ("KEYSTEAD_LIMITS__TOKEN", "2KiB"),
        ("KEYSTEAD_PROVIDERS__P__ISSUER", "https://variable"),
        ("KEYSTEAD_PROVIDERS__P__AUDIENCES", "b, c"),
        ("UNRELATED__X", "1"),
    ];
    let mut layers = with_env(text, &env);
    let flag = |path: &str, value: &str| (path.to_owned(), value.to_owned());
    layers.flags = vec![flag("listen", "127.0.0.1:3"), flag("providers.p.issuer", "https://flag")];
    let config = load(&layers);
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!(config.server.limits.token, 2048);
    assert_eq!(config.server.limits.body, 1024);
    assert_eq!(config.server.limits.connections, 1024);
    assert_eq!(config.providers[0].policy.issuer, "https://flag");
    let both = Audiences::OneOf(vec!["b".to_owned(), "c".to_owned()]);
    assert_eq!(config.providers[0].policy.audiences, both);
    let origin = |path: &str| {
        let found: Vec<_> = config.origins().filter(|(p, ..)| *p == path).collect();
        assert_eq!(found.len(), 1, "{path}");
        format!("{} ({})", found[0].1, found[0].2)
    };
    assert_eq!(origin("listen"), "\"127.0.0.1:3\" (flag listen)");
    assert_eq!(origin("limits.token"), "\"2KiB\" (variable KEYSTEAD_LIMITS__TOKEN)");
    assert_eq!(origin("drain"), "\"1s\" (keystead.yaml:3:8)");
    assert_eq!(origin("limits.connections"), "1024 (default)");
    assert_eq!(
        origin("providers.p.audiences"),
        "[\"b\", \"c\"] (variable KEYSTEAD_PROVIDERS__P__AUDIENCES)"
    );
    assert_eq!(origin("providers.p.leeway"), "60s (default)");
}

#[test]
fn every_server_setting_is_read() {
    let config = load(&yaml(
        "
listen: '[::1]:9000'
admin_listen: unix:/run/keystead/admin.sock
refusal_detail: hint
drain: 250ms
log: {format: json, level: debug, decisions: all}
limits: {token: 32KiB, connections: 10, body: 1MiB}
providers: {p: }
",
    ));
    let server = &config.server;
    assert_eq!(server.listen.to_string(), "[::1]:9000");
    assert_eq!(server.admin_listen, AdminListen::Unix(PathBuf::from("/run/keystead/admin.sock")));
    assert_eq!(server.refusal_detail, RefusalDetail::Hint);
    assert_eq!(server.drain, Duration::from_millis(250));
    assert_eq!(server.log.format, LogFormat::Json);
    assert_eq!(server.log.decisions, LogDecisions::All);
    assert_eq!((server.limits.token, server.limits.connections), (32 * 1024, 10));
    let unix = load(&yaml("admin_listen: /run/a.sock\nproviders: {p: }"));
    assert_eq!(unix.server.admin_listen, AdminListen::Unix(PathBuf::from("/run/a.sock")));
}

#[test]
#[allow(clippy::too_many_lines, reason = "one line per setting")]
fn every_provider_setting_is_read() {
    let provider = provider(&format!(
        "issuer: https://h
audiences: any
algorithms: [EdDSA, HS256]
typ: at+jwt
required_claims: {{tier: 1, groups: [admin, 007], sub: any, on: no}}
scopes: read write
leeway: 5s
max_token_age: 1h
keys: {ED25519}
keys_file: [/a.pem, /b.json]
discovery: issuer
refresh_interval: 30s
max_stale: forever
connect_timeout: 100ms
timeout: 1s
plain_http: any
ca_file: /etc/ca.pem
proxy: http://squid:3128
tls_server_name: sso.example
token_file: /run/token
headers: {{X-Api-Key: secret, X-Other: 007}}
private_addresses: any"
    ));
    assert!(provider.is_enabled(), "{provider:?}");
    let policy = &provider.policy;
    assert_eq!(policy.audiences, Audiences::Any);
    let algorithms = AlgorithmSet::EMPTY.with(Algorithm::EdDsa).with(Algorithm::Hs256);
    assert_eq!(policy.algorithms, algorithms);
    assert_eq!(policy.typ, ["at+jwt"]);
    let one_of = |values: &[&str]| {
        ClaimRule::OneOf(values.iter().map(|value| (*value).to_owned()).collect())
    };
    let claims = [
        ("tier".to_owned(), one_of(&["1"])),
        ("groups".to_owned(), one_of(&["admin", "007"])),
        ("sub".to_owned(), ClaimRule::Present),
        ("on".to_owned(), one_of(&["no"])),
    ];
    assert_eq!(policy.required_claims, claims);
    assert_eq!(policy.scopes, ["read", "write"]);
    assert_eq!(policy.leeway, Duration::from_secs(5));
    assert_eq!(policy.max_token_age, Some(Duration::from_secs(3600)));
    assert_eq!(provider.sources.len(), 4);
    assert_eq!(provider.refresh_interval, Duration::from_secs(30));
    assert_eq!(provider.max_stale, None);
    assert_eq!(provider.rules.connect_timeout, Duration::from_millis(100));
    assert_eq!(provider.rules.timeout, Duration::from_secs(1));
    assert!(provider.rules.plain_http_anywhere && provider.rules.private_addresses_anywhere);
    let rules = &provider.rules;
    assert_eq!(rules.ca_file, Some(PathBuf::from("/etc/ca.pem")));
    assert_eq!(rules.proxies, Proxies::through("squid:3128").unwrap());
    assert_eq!(rules.tls_server_name.as_deref(), Some("sso.example"));
    assert_eq!(rules.token_file, Some(PathBuf::from("/run/token")));
    assert_eq!(format!("{:?}", rules.headers), r#"{"x-api-key", "x-other"}"#);
    let base = "issuer: https://h\naudiences: a\n";
    let provider =
        self::provider(&format!("{base}connect_to: '[::1]:8443'\ntls_server_name: 10.0.0.1"));
    assert!(provider.is_enabled(), "{provider:?}");
    assert_eq!(provider.rules.connect_to.unwrap().to_string(), "[::1]:8443");
}

#[test]
fn a_mistake_in_how_a_provider_is_reached_disables_it() {
    for (settings, text) in [
        ("headers: {Host: hunter2}", "the header host is decided by the client"),
        ("headers: {X-Key: hunter2, x-key: hunter2}", "names a header twice"),
        ("headers: {'X Key': hunter2}", "not the name of a header"),
        ("headers: {X-Key: \"a\\r\\nhunter2\"}", "has a line break or control"),
        ("headers: {X-Key: [hunter2]}", "expected one text, found a list"),
        ("headers: 'X-Key: hunter2'", "expected a map, found a text"),
        ("headers: [hunter2]", "expected a map, found a list"),
        ("headers: {AUTHORIZATION: hunter2}\ntoken_file: /t", "contradict each other"),
        ("token_file: eyJhbGciOiJSUzI1NiJ9.hunter2.hunter2", "looks like the content of a file"),
        ("ca_file: '-----BEGIN CERTIFICATE-----hunter2'", "looks like the content of a file"),
        ("tls_server_name: https://h", "cannot be the name of a TLS server"),
        ("connect_to: https://u:hunter2@h:8443", "more than a host and a port"),
        ("connect_to: keycloak", "it has no port"),
        ("proxy: https://u:hunter2@h", "a proxy is spoken to in http"),
        ("proxy: http://u:hunter2@h/x", "more than host and port"),
        ("proxy: squid:3128\nconnect_to: h:1", "proxy and connect_to contradict each other"),
    ] {
        let config = load(&yaml(&format!(
            "providers:\n  p:\n{}",
            indented(&format!("issuer: https://h\naudiences: a\n{settings}"))
        )));
        let (why, reason) = disabled(&config.providers[0]);
        assert_eq!(why, DisabledWhy::Misconfigured, "{settings}");
        assert!(reason.contains(text), "{settings}: {reason}");
        assert!(config.problems().iter().all(|problem| problem.hint.is_some()));
        let shown: Vec<_> = config.origins().map(|(_, value, _)| value).collect();
        let all = format!("{:?} {:?} {shown:?}", config.providers, config.problems());
        assert!(!all.contains("hunter2"), "{all}");
    }
}

#[test]
fn blank_takes_headers_files_and_proxies_away() {
    let text = "
defaults: {proxy: squid:1, ca_file: /ca.pem}
providers:
  plain: {issuer: https://a, audiences: a}
  own: {issuer: https://b, audiences: a, proxy: '', ca_file: , connect_to: ' ', token_file: ''}
  off: {issuer: https://c, audiences: a, proxy: off, headers: {X-A: ' ', X-B: b}}
  dialled: {issuer: https://d, audiences: a, connect_to: kc:8443}
";
    let config = load(&with_env(text, &[("HTTPS_PROXY", "http://me:hunter2@environment:3128")]));
    assert!(config.providers.iter().all(ProviderConfig::is_enabled), "{config:?}");
    let rules = |name: &str| &config.providers.iter().find(|p| p.name == name).unwrap().rules;
    assert_eq!(rules("plain").proxies, Proxies::through("squid:1").unwrap());
    assert_eq!(rules("plain").ca_file, Some(PathBuf::from("/ca.pem")));
    let environment =
        Proxies::from_variables([("https_proxy", "http://me:hunter2@environment:3128")]);
    assert_eq!(rules("own").proxies, environment, "blank leaves the environment's");
    assert_eq!((&rules("own").ca_file, &rules("own").token_file), (&None, &None));
    assert_eq!(rules("off").proxies, Proxies::default());
    assert_eq!(format!("{:?}", rules("off").headers), r#"{"x-b"}"#);
    let mut noted: Vec<_> = config.notices().iter().map(|n| n.path.as_str()).collect();
    noted.sort_unstable();
    let expected = ["off.headers", "own.ca_file", "own.connect_to", "own.proxy", "own.token_file"];
    assert_eq!(noted, expected.map(|path| format!("providers.{path}")));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_proxy_of_the_environment_that_cannot_be_used_is_passed_over() {
    let env = [("https_proxy", "socks5://u:hunter2@h:1080"), ("HTTP_PROXY", "squid:3128")];
    let config = load(&with_env("providers: {p: {issuer: https://h, audiences: a}}", &env));
    assert!(config.providers[0].is_enabled());
    let rules = &config.providers[0].rules;
    assert_eq!(rules.proxies, Proxies::from_variables([("http_proxy", "squid:3128")]));
    let notices: Vec<_> = config.notices().iter().map(ToString::to_string).collect();
    let expected = "variable https_proxy: a proxy is spoken to in http, and in no other scheme: it \
                    is passed over";
    assert_eq!(notices, [expected]);
}

#[test]
fn two_providers_of_one_issuer_have_to_be_reached_alike() {
    let config = load(&yaml(
        "providers:
  a: {issuer: https://h, audiences: a, headers: {X-A: a}}
  b: {issuer: https://h, audiences: a, headers: {X-A: b}, token_file: /t, ca_file: /c}
",
    ));
    let (_, reason) = disabled(&config.providers[1]);
    assert!(reason.contains("not the same ca_file, token_file, headers"), "{reason}");
}

#[test]
fn settings_of_unknown_kids_and_removed_keys_are_read() {
    let provider = provider(
        "issuer: https://h
audiences: any
removed_key_grace: 48h
unknown_kid_wait: 0s
unknown_kid_cooldown: 10s
distrusted_keys: kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    );
    assert!(provider.is_enabled(), "{provider:?}");
    assert_eq!(provider.removed_key_grace, Duration::from_secs(48 * 3600));
    assert_eq!(provider.unknown_kid_wait, Duration::ZERO);
    assert_eq!(provider.unknown_kid_cooldown, Duration::from_secs(10));
    assert_eq!(provider.distrusted_keys, ["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]);
}

/// A restriction that is misspelt is never ignored.
#[test]
fn a_setting_of_unknown_kids_and_removed_keys_out_of_bounds_disables_its_provider() {
    for (setting, problem) in [
        ("removed_key_grace: 169h", "removed_key_grace: 169h is out of range"),
        ("unknown_kid_wait: 2m", "unknown_kid_wait: 2m is out of range"),
        ("unknown_kid_cooldown: 0s", "unknown_kid_cooldown: 0s is out of range"),
        ("distrusted_keys: 2024-10", "distrusted_keys: \"2024-10\" is no thumbprint of a key"),
    ] {
        let provider = provider(&format!("issuer: https://h\naudiences: a\n{setting}"));
        let (why, reason) = disabled(&provider);
        assert_eq!((why, reason), (DisabledWhy::Misconfigured, problem));
    }
}

/// Providers of one issuer are one: neither uses what the other distrusts.
#[test]
fn providers_that_become_one_distrust_the_keys_of_both() {
    let thumbprints = [
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    ];
    let [a, b] = thumbprints.map(|thumbprint| {
        let name = if thumbprint == thumbprints[0] { "a" } else { "b" };
        ProviderConfig::new(name, "https://h").any_audience().distrusted_keys([thumbprint])
    });
    let config = Config::of([a, b]);
    assert_eq!(config.providers.len(), 1);
    assert_eq!(config.providers[0].distrusted_keys, thumbprints);
}

#[test]
fn numeric_looking_texts_keep_their_text() {
    let expected = ["00123", "no", "1_0", "0x1F", "2024-01-01", "1.50", "true"];
    let list = expected.join(", ");
    let yaml_text = format!("providers: {{p: {{issuer: 0010, audiences: [{list}]}}}}");
    let toml_text = "[providers.p]\nissuer = '0010'\naudiences = ['00123', 'no', 1_0, 0x1F, \
                     2024-01-01, 1.50, true]\n";
    for layers in [
        yaml(&yaml_text),
        file("x.toml", toml_text),
        with_env(
            "",
            &[
                ("KEYSTEAD_PROVIDERS__P__ISSUER", "0010"),
                ("KEYSTEAD_PROVIDERS__P__AUDIENCES", &list),
            ],
        ),
        with_env(
            "",
            &[
                ("KEYSTEAD_PROVIDERS__P__ISSUER", "0010"),
                ("KEYSTEAD_PROVIDERS__P__AUDIENCES", &format!("[{list}]")),
            ],
        ),
    ] {
        let config = load(&layers);
        assert_eq!(config.providers[0].policy.issuer, "0010");
        let audiences = Audiences::OneOf(expected.map(str::to_owned).to_vec());
        assert_eq!(config.providers[0].policy.audiences, audiences);
    }
}

#[test]
fn toml_and_json_say_the_same_as_yaml() {
    let one = load(&yaml(
        "listen: 127.0.0.1:1\nproviders: {p: {issuer: https://h, audiences: [a], leeway: 5s}}",
    ));
    let toml = "listen = '127.0.0.1:1'\n[providers.p]\nissuer = 'https://h'\naudiences = ['a']\n\
                leeway = '5s'\n";
    let json = "{\"listen\":\"127.0.0.1:1\",\t\"providers\":{\"p\":{\"issuer\":\"https:\\/\\/h\",\
                \"audiences\":[\"a\"],\"leeway\":\"5s\"}}}";
    for (name, text) in [("x.toml", toml), ("x.json", json), ("x", json)] {
        let other = load(&file(name, text));
        assert_eq!(other.server, one.server, "{name}");
        assert_eq!(other.providers, one.providers, "{name}");
    }
}

#[test]
fn variables_reach_every_value() {
    let env = [
        ("KEYSTEAD_PROVIDERS__MY_IDP__ISSUER", "https://variable"),
        ("KEYSTEAD_PROVIDERS__New__Issuer", "https://new"),
        ("KEYSTEAD_PROVIDERS__NEW__AUDIENCES", "any"),
        ("KEYSTEAD_PROVIDERS__NEW__KEYS", ED25519),
        ("KEYSTEAD_PROVIDERS__NEW__KEYS_FILE", "/run/secrets/key"),
        ("KEYSTEAD_PROVIDERS__NEW__REQUIRED_CLAIMS", r#"{"Groups": ["a,b", 1], "x": "any"}"#),
        ("KEYSTEAD_PROVIDERS__NEW__HEADERS", r#"{"X-Key": "a,b"}"#),
        ("KEYSTEAD_PROVIDERS__NEW__JWKS_URL", "https://h/1, https://h/2"),
        ("KEYSTEAD_DEFAULTS__LEEWAY", "1s"),
        ("KEYSTEAD_LOG__LEVEL", "warn"),
    ];
    let config = load(&with_env("providers: {my-idp: {issuer: https://file, audiences: a}}", &env));
    assert_eq!(config.providers.len(), 2);
    assert_eq!(config.providers[0].policy.issuer, "https://variable");
    let new = &config.providers[1];
    assert!(new.is_enabled(), "{new:?}");
    assert_eq!(new.policy.audiences, Audiences::Any);
    assert_eq!(new.policy.leeway, Duration::from_secs(1));
    assert_eq!(new.sources.len(), 4, "{new:?}");
    assert!(new.rules.headers.contains("x-key"));
    let groups = ClaimRule::OneOf(vec!["a,b".to_owned(), "1".to_owned()]);
    assert_eq!(new.policy.required_claims[0], ("Groups".to_owned(), groups));
}

#[test]
fn service_links_are_ignored_and_unknown_variables_are_not() {
    let good = "providers: {p: {issuer: https://h, audiences: a}}";
    let env = [
        ("KEYSTEAD_PORT", "tcp://10.0.0.1:80"),
        ("KEYSTEAD_SERVICE_HOST", "10.0.0.1"),
        ("KEYSTEAD_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("KEYSTEAD_VERSION", "0.1.0"),
        ("KEYSTEAD_CONFIG", "/etc/keystead.yaml"),
        ("KEYSTEAD_LISTN", "127.0.0.1:1"),
    ];
    let config = load(&with_env(good, &env));
    assert_eq!(config.notices().len(), 5);
    assert!(config.notices().iter().all(|notice| notice.level == NoticeLevel::Debug));
    assert!(config.notices()[4].text.contains("KEYSTEAD_LISTEN"));
    for (name, hint) in [
        ("KEYSTEAD_PROVIDRS__P__ISSUER", "KEYSTEAD_PROVIDERS__P__ISSUER"),
        ("KEYSTEAD_LOG__LEVL", "KEYSTEAD_LOG__LEVEL"),
        ("KEYSTEAD_LISTEN__PORT", "remove it"),
        ("KEYSTEAD_PROVIDERS____ISSUER", "write KEYSTEAD_PROVIDERS__NAME__ISSUER"),
        ("KEYSTEAD_PROVIDERS__A", "write KEYSTEAD_PROVIDERS__A__ISSUER"),
        ("KEYSTEAD_LOG", "write KEYSTEAD_LOG__LEVEL"),
        ("KEYSTEAD_DEFAULTS__ISSUER", "remove it"),
    ] {
        let error = Config::load(&with_env(good, &[(name, "x")])).unwrap_err();
        let problem = &error.problems()[0];
        assert_eq!(problem.scope, Scope::Fatal);
        assert!(problem.hint.as_ref().unwrap().contains(hint), "{name}: {problem}");
    }
}

#[test]
fn a_mistyped_setting_in_a_variable_disables_its_provider() {
    let config = load(&with_env(
        "providers: {my-idp: {issuer: https://h, audiences: a}, q: {issuer: x, keys_file: /k, \
         audiences: a}}",
        &[("KEYSTEAD_PROVIDERS__MY_IDP__SCOPE", "admin")],
    ));
    assert_eq!(disabled(&config.providers[0]).0, DisabledWhy::Misconfigured);
    assert!(config.providers[1].is_enabled());
    let hint = config.problems()[0].hint.as_deref();
    assert_eq!(hint, Some("did you mean \"KEYSTEAD_PROVIDERS__MY_IDP__SCOPES\"?"));
}

#[test]
fn variables_that_cannot_be_told_apart_are_refused() {
    let env = [
        ("KEYSTEAD_PROVIDERS__P__ISSUER", "https://a"),
        ("KEYSTEAD_PROVIDERS__p__ISSUER", "https://b"),
    ];
    let config = load(&with_env("providers: {p: {audiences: a}}", &env));
    assert_eq!(disabled(&config.providers[0]).0, DisabledWhy::Misconfigured);
    let text = "providers:
  my-idp: {issuer: https://a, audiences: a}
  my_idp: {issuer: https://b, audiences: a}
";
    let config = load(&yaml(text));
    assert!(config.providers[0].is_enabled());
    assert!(disabled(&config.providers[1]).1.contains("\"my-idp\""));
    let config = load(&with_env(text, &[("KEYSTEAD_PROVIDERS__MY_IDP__SCOPES", "x")]));
    assert!(config.providers.iter().all(|provider| !provider.is_enabled()));
}

#[test]
fn eight_mistakes_are_eight_problems() {
    let layers = yaml(
        "version: 2
lisen: 127.0.0.1:8080
drain: 5
log: {level: loud}
providers:
  a:
    issuer: https://a
    audience: x
    jwks_url: abc
  b:
    issuer: https://b
    audiences: [x]
    algorithms: [RS257]
    state_dir: /x
",
    );
    let problems = check(&layers);
    let printed: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 8, "{printed:#?}");
    assert_eq!(lines(&problems), [1, 2, 3, 4, 8, 9, 13, 14]);
    assert!(problems.iter().all(|problem| problem.hint.is_some()), "{printed:#?}");
    assert_eq!(
        printed[1],
        "keystead.yaml:2:1: lisen: there is no setting \"lisen\" here\n  hint: did you mean \
         \"listen\"?"
    );
    assert_eq!(
        printed[5],
        "keystead.yaml:9:15: providers.a.jwks_url: \"abc\" is not an absolute URL (missing \
         https://)\n  hint: write an absolute URL that begins with https://"
    );
    let error = Config::load(&layers).unwrap_err();
    assert_eq!(error.problems(), problems);
}

#[test]
fn a_mistake_outside_of_every_provider_is_fatal() {
    let good = "providers: {p: {issuer: https://h, audiences: a}}\n";
    for text in [
        "listen: 8080",
        "listen: [127.0.0.1:1]",
        "admin_listen: unix:x",
        "admin_listen: 127.0.0.1:8080",
        "refusal_detail: Hint",
        "limits: {token: 2MiB}",
        "limits: {connections: 0}",
        "limits: 5",
        "defaults: {leeway: soon}",
        "defaults: {issuer: https://h}",
        "defaults: {levay: 1s}",
        "leeway: 1s",
        "drain: 1s\ndrain: 2s",
        "log: {level: info, level: warn}",
        "providers: {}",
    ] {
        let error = Config::load(&yaml(&format!("{good}{text}\n"))).unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert_eq!(lines(error.problems())[0], if text.contains('\n') { 3 } else { 2 }, "{error}");
    }
}

#[test]
fn a_text_that_is_no_configuration_is_refused_with_its_line() {
    for (name, text, line) in [
        ("x.yaml", "a: 1\nb: [1, 2\nc: 3\n", 3),
        ("x.yaml", "a: *nothing\n", 1),
        ("x.yaml", "a: 1\n---\nb: 2\n", 3),
        ("x.yaml", "- a\n- b\n", 1),
        ("x.toml", "a = 1\nb = \n", 2),
        ("x.json", "{\"a\": 1,\n\"b\" 2}", 2),
    ] {
        let error = Config::load(&file(name, text)).expect_err(text);
        assert_eq!(lines(error.problems())[0], line, "{text:?}: {error}");
        assert!(!error.to_string().contains("no provider"), "{error}");
    }
}

/// G33: garbage among the keys does not take the others away.
#[test]
fn an_unusable_key_is_a_mistake_of_its_own() {
    let text = format!(
        "providers:\n  p:\n    issuer: x\n    audiences: a\n    keys:\n      - garbage\n      - \
         {ED25519}\n      - ''\n      - {{kty: OKP, crv: Ed25519, x: AAAA}}\n"
    );
    let config = load(&yaml(&text));
    assert!(config.providers[0].is_enabled(), "{:?}", config.providers[0]);
    let scopes: Vec<_> = config.problems().iter().map(|problem| &problem.scope).collect();
    assert_eq!(scopes, [&Scope::Key("p".to_owned()), &Scope::Key("p".to_owned())]);
    assert_eq!(lines(config.problems()), [6, 9]);
}

#[test]
fn what_may_surprise_is_noted() {
    let config = load(&yaml(
        "providers:
  hmac: {issuer: https://h, audiences: a, algorithms: [HS256]}
  slow: {issuer: https://s, audiences: a, refresh_interval: 2h, max_stale: 1h}
  private:
    issuer: p
    audiences: a
    keys: {kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, d: c2VjcmV0}
",
    ));
    let notices: Vec<_> = config.notices().iter().map(ToString::to_string).collect();
    assert_eq!(notices.len(), 3, "{notices:#?}");
    assert!(notices[0].contains("keystead.yaml:2:55: providers.hmac.algorithms: HS256 takes only"));
    assert!(notices[1].contains("providers.private.keys: a private key is written"));
    assert!(notices[2].contains("providers.slow.max_stale: keys expire after 1h"));
}

#[test]
fn anchors_serve_several_providers() {
    let config = load(&yaml(
        "providers:
  a: &base {issuer: https://a, audiences: [x], leeway: 5s}
  b:
    <<: *base
    issuer: https://b
",
    ));
    assert_eq!(config.problems(), []);
    assert_eq!(config.providers[1].policy.issuer, "https://b");
    assert_eq!(config.providers[1].policy.leeway, Duration::from_secs(5));
}

#[test]
fn nothing_that_steers_a_terminal_is_printed() {
    let env = [("KEYSTEAD_PROVIDERS__\u{1b}[31m__SCOPE", "\u{1b}"), ("KEYSTEAD_\u{1b}__X", "\n")];
    let layers = with_env("\"a\\e[31m\": 1\nproviders: {\"p\\e\": {issuer: \"\\e\"}}", &env);
    let printed: String = check(&layers).iter().map(ToString::to_string).collect();
    assert!(printed.contains("variable KEYSTEAD_"), "{printed}");
    assert!(!printed.contains('\u{1b}'), "{printed:?}");
}

#[test]
fn a_provider_from_code_is_judged_like_one_from_a_file() {
    let config = Config::of([
        ProviderConfig::new("b", "https://b").audiences(["x"]),
        ProviderConfig::new("a", "a").audiences(["x"]).keys_text(ED25519),
        ProviderConfig::new("c", "c").audiences(["x"]),
        ProviderConfig::new("d", "https://d"),
        ProviderConfig::new("E", "https://e").audiences(["x"]),
        ProviderConfig::new("f", "https://f")
            .audiences(["x"])
            .refresh_interval(Duration::ZERO)
            .jwks_url("https://u:hunter2@f/"),
    ]);
    let standing: Vec<_> = config
        .providers
        .iter()
        .map(|p| match &p.standing {
            Standing::Disabled { why, .. } => format!("{} {}", p.name, why.as_str()),
            _ => p.name.clone(),
        })
        .collect();
    let expected = ["E misconfigured", "a", "b", "c unset", "d misconfigured", "f misconfigured"];
    assert_eq!(standing, expected);
    assert_eq!(config.problems().len(), 4);
    assert!(config.problems().iter().all(|problem| problem.origin == Origin::Code));
    assert!(!format!("{config:?}").contains("hunter2"));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    const SECRETS: [&str; 3] =
        ["hunter2hunter2", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "c2VjcmV0LXNlY3JldA"];

    /// Everything that is ever printed of a configuration.
    fn printed(layers: &Layers) -> String {
        let mut out = format!("{:?}\n", layers.file);
        for problem in check(layers) {
            writeln!(out, "{problem}\n{problem:?}").unwrap();
        }
        if let Ok(config) = Config::load(layers) {
            for provider in &config.providers {
                writeln!(out, "{:?} {:?}", provider.standing, provider.sources).unwrap();
            }
            for notice in config.notices() {
                writeln!(out, "{notice}").unwrap();
            }
            for (path, value, origin) in config.origins() {
                writeln!(out, "{path} {value} {origin}").unwrap();
            }
        }
        out
    }

    fn secretive() -> String {
        let [password, pem, secret] = SECRETS;
        format!(
            "version: 1
providers:
  a:
    issuer: https://a
    audiences: [x]
    jwks_url: https://u:{password}@a/jwks
    proxy: http://u:{password}@squid:3128
    headers: {{X-Api-Key: {password}, Authorization: Basic {secret}}}
    keys:
      - |
        -----BEGIN PRIVATE KEY-----
        {pem}
        -----END PRIVATE KEY-----
      - {{kty: oct, kid: k1, k: {secret}}}
  b: {{issuer: b, audiences: any, keys: '{{\"kty\":\"oct\",\"k\":\"{secret}\"}}'}}
"
        )
    }

    fn secretive_toml() -> String {
        let [password, pem, secret] = SECRETS;
        format!(
            "version = 1
[providers.a]
issuer = 'https://a'
audiences = ['x']
jwks_url = \"https://u:{password}@a/jwks\"
headers = {{ X-Api-Key = '{password}' }}
keys = [
  \"\"\"
-----BEGIN PRIVATE KEY-----
{pem}
-----END PRIVATE KEY-----
\"\"\",
  {{kty = 'oct', k = '{secret}'}},
]
"
        )
    }

    fn holds_a_secret(text: &str) -> bool {
        SECRETS.iter().any(|secret| text.contains(secret))
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 400,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn no_text_panics(text in ".{0,200}", name in "x\\.(yaml|toml|json)") {
            let _any = check(&file(&name, &text));
        }

        #[test]
        fn no_text_of_our_own_words_panics(
            words in prop::collection::vec(
                prop::sample::select(vec![
                    "providers", ": ", "\n", "  ", "a", "issuer", "[", "]", "{", "}", ", ", "- ",
                    "&x ", "*x", "<<", "keys", "\"", "'", "|\n", "~", "!!int ", "=", "version",
                    "1", "defaults", "log", "\t", "#", "---\n", "audiences", "any", "é", "\u{0}",
                ]),
                0..60,
            ),
            name in "x\\.(yaml|toml|json)",
        ) {
            let _any = check(&file(&name, &words.concat()));
        }

        #[test]
        fn no_variable_or_flag_panics(
            name in "(PROVIDERS|DEFAULTS|LOG|LISTEN|[A-Za-z_]{0,6})(__[A-Za-z_-]{0,8}){0,3}",
            value in ".{0,40}",
        ) {
            let env = vec![(format!("KEYSTEAD_{name}"), value.clone())];
            let flags = vec![(name.replace("__", ".").to_lowercase(), value)];
            let _any = check(&Layers { flags, env, file: None });
        }

        /// Whatever slips when a file is edited, its secrets stay in it.
        #[test]
        fn no_secret_is_ever_printed(
            at in 0_usize..600,
            cut in 0_usize..12,
            put in prop::sample::select(vec!["", "\n", "  ", "\"", ":", "- ", "[", "}", "'", "|", "="]),
            name in prop::sample::select(vec!["x.yaml", "x.toml"]),
        ) {
            let text = if name == "x.toml" { secretive_toml() } else { secretive() };
            let start: String = text.chars().take(at).collect();
            let rest: String = text.chars().skip(at + cut).collect();
            let broken = format!("{start}{put}{rest}");
            let printed = printed(&file(name, &broken));
            prop_assert!(!holds_a_secret(&printed), "{broken}\n=>\n{printed}");
        }

        /// The same for a secret that was written into the wrong variable.
        #[test]
        fn no_secret_of_a_variable_is_ever_printed(
            setting in prop::sample::select(vec![
                "KEYS", "JWKS_URL", "DISCOVERY_URL", "ISSUER", "AUDIENCES", "LEEWAY", "USE",
                "ALGORITHMS", "REQUIRED_CLAIMS", "KEY", "TYP", "HEADERS", "PROXY", "CONNECT_TO",
                "TOKEN_FILE", "CA_FILE", "TLS_SERVER_NAME",
            ]),
            form in 0_usize..4,
        ) {
            let [password, pem, secret] = SECRETS;
            let value = match form {
                0 => format!("https://u:{password}@h/"),
                1 => format!("-----BEGIN PRIVATE KEY-----\\n{pem}\\n-----END PRIVATE KEY-----"),
                2 => format!("{{\"kty\":\"oct\",\"k\":\"{secret}\"}}"),
                _ => format!("[{{\"kty\":\"oct\",\"k\":\"{secret}\"}}]"),
            };
            let name = format!("KEYSTEAD_PROVIDERS__A__{setting}");
            let printed = printed(&with_env("providers: {a: {issuer: https://a}}", &[(&name, &value)]));
            prop_assert!(!holds_a_secret(&printed), "{value}\n=>\n{printed}");
        }
    }
}
