//! `keystead idp`: a provider on loopback to try services against, and telling it what to do.

use std::io;
use std::net::SocketAddr;

use keystead::core::Algorithm;
use keystead::core::text::escaped;
use keystead_testkit::idp::{
    ControlClient, ControlError, DEFAULT_CONTROL, DEFAULT_LISTEN, DEFAULT_REALM, Idp, IdpConfig,
    IdpError, MintRequest, RealmConfig,
};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::console::Console;
use super::json::pretty;
use super::{Exit, Failure, Format};

/// Play an identity provider on loopback, and mint tokens of it: for trying things out only
///
/// Without a verb it serves. The other verbs tell a provider that runs elsewhere on this machine
/// what to do.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Serve discovery and a JWK Set for one or several issuers, until interrupted
    Serve(ServeArgs),
    /// Mint a token and write it to standard output
    Mint(MintArgs),
    /// Sign with a new key from now on, and keep the old ones published
    Rotate(RealmArgs),
    /// Take a key out of the JWK Set
    Withdraw(WithdrawArgs),
    /// Close the provider's port, as if it were not there
    Down(ControlArgs),
    /// Open the provider's port again
    Up(ControlArgs),
    /// Show issuers, keys and how often they were asked for
    State(StateArgs),
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// Where it listens, on loopback; port 0: the system chooses
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    #[command(flatten)]
    control: ControlArgs,
    /// An issuer of its own, below /realms/NAME; can be repeated [default: demo]
    ///
    /// With =ISSUER its tokens and metadata name another issuer than the one it is served at.
    #[arg(long = "realm", value_name = "NAME[=ISSUER]")]
    realms: Vec<String>,
    /// An algorithm that every realm has a key for; can be repeated [default: ES256]
    #[arg(long = "alg", value_name = "ALG", value_parser = algorithm)]
    algorithms: Vec<Algorithm>,
}

#[derive(Debug, clap::Args)]
struct ControlArgs {
    /// Where the provider is told what to do
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_CONTROL)]
    control: SocketAddr,
}

#[derive(Debug, clap::Args)]
struct RealmArgs {
    #[command(flatten)]
    control: ControlArgs,
    /// The realm, where there are several
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
}

#[derive(Debug, clap::Args)]
struct WithdrawArgs {
    #[command(flatten)]
    realm: RealmArgs,
    /// The key
    #[arg(value_name = "KID")]
    kid: String,
}

#[derive(Debug, clap::Args)]
struct StateArgs {
    #[command(flatten)]
    control: ControlArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct MintArgs {
    #[command(flatten)]
    realm: RealmArgs,
    /// Whom it is meant for; can be repeated
    #[arg(long = "aud", value_name = "AUDIENCE", required = true)]
    audiences: Vec<String>,
    /// Whom it is about
    #[arg(long = "sub", value_name = "SUBJECT")]
    subject: Option<String>,
    /// How long it is valid; negative: it expired that long ago
    #[arg(long = "expires-in", value_name = "SECONDS", allow_negative_numbers = true)]
    expires_in: Option<i64>,
    /// A claim, its value JSON or else a text; can be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// The algorithm; the realm must have a key for it
    #[arg(long = "alg", value_name = "ALG", value_parser = algorithm)]
    algorithm: Option<Algorithm>,
}

pub(crate) fn run(args: Args, console: &mut Console) -> Result<Exit, Failure> {
    let answer = match args.verb {
        None => return serve(&args.serve, console),
        Some(Verb::Serve(args)) => return serve(&args, console),
        Some(Verb::Mint(args)) => args.mint(),
        Some(Verb::Rotate(args)) => args.control.client().rotate(args.realm.as_deref()),
        Some(Verb::Withdraw(WithdrawArgs { realm, kid })) => {
            let client = realm.control.client();
            client.withdraw(realm.realm.as_deref(), &kid).map(|()| kid)
        }
        Some(Verb::Down(control)) => control.client().down().map(|()| "down".to_owned()),
        Some(Verb::Up(control)) => control.client().up().map(|()| "up".to_owned()),
        Some(Verb::State(args)) => {
            let state = args.control.client().state();
            state.map(|state| args.show(&state).trim_end().to_owned())
        }
    };
    console.data(format!("{}\n", answer.map_err(refused)?))?;
    Ok(Exit::Yes)
}

/// What the provider does not understand was wrong on this command line.
fn refused(error: ControlError) -> Failure {
    match error {
        ControlError::Refused { status: 400..500, .. } => Failure::usage(error),
        ControlError::Unreachable { .. } => {
            Failure::System(format!("{error}\nhint: start one with keystead idp serve"))
        }
        _ => Failure::System(error.to_string()),
    }
}

impl ControlArgs {
    const fn client(&self) -> ControlClient {
        ControlClient::new(self.control)
    }
}

impl MintArgs {
    fn mint(self) -> Result<String, ControlError> {
        let mut request = MintRequest::default();
        request.realm = self.realm.realm;
        request.audiences = self.audiences;
        request.subject = self.subject;
        request.claims = self.claims.into_iter().collect();
        request.ttl = self.expires_in;
        request.algorithm = self.algorithm.map(|algorithm| algorithm.name().to_owned());
        self.realm.control.client().mint(&request)
    }
}

fn serve(args: &ServeArgs, console: &mut Console) -> Result<Exit, Failure> {
    let stopped = |error: io::Error| Failure::System(format!("signals cannot be heard: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(stopped)?;
    // Listened for before anybody can know that the provider is there.
    let _entered = runtime.enter();
    let mut terminate = signal(SignalKind::terminate()).map_err(stopped)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(stopped)?;
    let idp = Idp::start(args.config()?).map_err(cannot_start)?;
    console.data(describe(&idp).map_err(cannot_start)?)?;
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    drop(idp);
    console.prose("the provider has ended");
    Ok(Exit::Yes)
}

fn cannot_start(error: IdpError) -> Failure {
    match error {
        IdpError::Bind { .. } | IdpError::Thread(_) | IdpError::Stopped => {
            Failure::System(error.to_string())
        }
        _ => Failure::usage(error),
    }
}

impl ServeArgs {
    fn config(&self) -> Result<IdpConfig, Failure> {
        let mut config = IdpConfig::new().listen(self.listen).control(self.control.control);
        let default = [DEFAULT_REALM.to_owned()];
        let realms = if self.realms.is_empty() { &default[..] } else { &self.realms };
        for written in realms {
            let (name, issuer) = match written.split_once('=') {
                Some((_, "")) => {
                    return Err(Failure::usage(format!(
                        "--realm {}: the issuer is empty",
                        escaped(written)
                    )));
                }
                Some((name, issuer)) => (name, Some(issuer)),
                None => (written.as_str(), None),
            };
            let mut realm = RealmConfig::new(name);
            realm.issuer = issuer.map(ToOwned::to_owned);
            if !self.algorithms.is_empty() {
                realm.algorithms.clone_from(&self.algorithms);
            }
            config = config.realm(realm);
        }
        Ok(config)
    }
}

/// What somebody needs to know to use the provider.
fn describe(idp: &Idp) -> Result<String, IdpError> {
    let mut lines = Vec::new();
    for realm in idp.realms() {
        lines.push(format!("{realm}: issuer {}", escaped(&idp.issuer(&realm)?)));
        lines.push(format!("  discovery {}", idp.discovery_url(&realm)?));
        lines.push(format!("  keys {}", idp.jwks_url(&realm)?));
    }
    lines.extend(idp.control_addr().map(|control| format!("control {control}")));
    Ok(lines.join("\n") + "\n")
}

impl StateArgs {
    fn show(&self, state: &Value) -> String {
        if self.format == Format::Json {
            return pretty(&state.to_string());
        }
        let text = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_str).map(escaped).unwrap_or_default()
        };
        let up = if state.get("up") == Some(&Value::Bool(true)) { "up" } else { "down" };
        let mut lines = vec![format!("{up} {}", text(state, "listen"))];
        for (name, realm) in state.get("realms").and_then(Value::as_object).into_iter().flatten() {
            lines.push(format!("{}: issuer {}", escaped(name), text(realm, "issuer")));
            for key in realm.get("keys").and_then(Value::as_array).into_iter().flatten() {
                lines.push(format!("  key {} {}", text(key, "kid"), text(key, "alg")));
            }
            let requests = realm.get("requests").and_then(Value::as_object);
            for (document, count) in requests.into_iter().flatten() {
                lines.push(format!("  asked for {}: {count}", escaped(document)));
            }
        }
        lines.join("\n")
    }
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Algorithm::ALL.iter().map(|known| known.name()).collect();
        format!("known are {}", names.join(", "))
    })
}

fn claim(argument: &str) -> Result<(String, Value), String> {
    let (name, value) = argument.split_once('=').ok_or("write NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_json_or_else_a_text() {
        let value = |argument: &str| claim(argument).unwrap().1;
        assert_eq!(value("groups=[\"a\"]"), serde_json::json!(["a"]));
        assert_eq!(value("n=7"), 7);
        assert_eq!(value("scope=read write"), "read write");
        assert_eq!(value("url=https://a/?b=c"), "https://a/?b=c");
        assert!(claim("groups").is_err());
    }
}
