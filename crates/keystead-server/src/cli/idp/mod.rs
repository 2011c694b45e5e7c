//! `keystead idp`: a provider on loopback to try services against, and telling it what to do.

mod faults;
mod serve;
mod state;

use std::net::SocketAddr;

use keystead::core::Algorithm;
use keystead_testkit::idp::{ControlClient, ControlError, DEFAULT_CONTROL, MintRequest};
use serde_json::Value;

use super::console::Console;
use super::{Exit, Failure};

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
    serve: serve::ServeArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Serve discovery and a JWK Set for one or several issuers, until interrupted
    Serve(serve::ServeArgs),
    /// Mint a token and write it to standard output
    Mint(MintArgs),
    /// Sign with a new key from now on, and keep the old ones published
    Rotate(RealmArgs),
    /// Replace every key, as if the realm had been deleted and made again
    Recreate(RealmArgs),
    /// Take a key out of the JWK Set
    Withdraw(WithdrawArgs),
    /// Close the provider's port, as if it were not there
    Down(ControlArgs),
    /// Open the provider's port again
    Up(ControlArgs),
    /// Misbehave in one way, for a number of requests, for a time, or until healed
    Fault(faults::FaultArgs),
    /// Misbehave in several ways, one after the other
    Script(faults::ScriptArgs),
    /// Behave again, and listen again
    Heal(ControlArgs),
    /// List the ways to misbehave; asks no provider
    Faults(faults::ListArgs),
    /// Show issuers, keys, faults and how often they were met
    State(state::StateArgs),
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
    #[arg(value_name = "KID", allow_hyphen_values = true)]
    kid: String,
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
        None => return args.serve.run(console),
        Some(Verb::Serve(args)) => return args.run(console),
        Some(Verb::Faults(args)) => return args.run(console),
        Some(Verb::Mint(args)) => args.mint(),
        Some(Verb::Rotate(args)) => args.control.client().rotate(args.realm.as_deref()),
        Some(Verb::Recreate(args)) => args.control.client().recreate(args.realm.as_deref()),
        Some(Verb::Fault(args)) => args.order(),
        Some(Verb::Script(args)) => args.order()?,
        Some(Verb::Heal(control)) => control.client().heal().map(|()| "healed".to_owned()),
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
