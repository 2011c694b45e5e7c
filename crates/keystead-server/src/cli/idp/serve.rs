//! `keystead idp serve`: playing the provider until interrupted.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use keystead::core::Algorithm;
use keystead::core::text::escaped;
use keystead_testkit::idp::{DEFAULT_LISTEN, DEFAULT_REALM, Idp, IdpConfig, IdpError, RealmConfig};
use tokio::signal::unix::{SignalKind, signal};

use super::faults::script;
use crate::cli::console::Console;
use crate::cli::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// Where it listens, on loopback; port 0: the system chooses
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    #[command(flatten)]
    control: super::ControlArgs,
    /// An issuer of its own, below /realms/NAME; can be repeated [default: demo]
    ///
    /// With =ISSUER its tokens and metadata name another issuer than the one it is served at.
    #[arg(long = "realm", value_name = "NAME[=ISSUER]")]
    realms: Vec<String>,
    /// An algorithm that every realm has a key for; can be repeated [default: ES256]
    #[arg(long = "alg", value_name = "ALG", value_parser = super::algorithm)]
    algorithms: Vec<Algorithm>,
    /// Misbehave from the first request on, by this script: an order in JSON on each line
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Serve over TLS, and write the certificate of the CA to this file
    #[arg(long, value_name = "CA_FILE")]
    tls: Option<PathBuf>,
}

impl ServeArgs {
    pub(super) fn run(&self, console: &mut Console) -> Result<Exit, Failure> {
        let stopped =
            |error: io::Error| Failure::System(format!("signals cannot be heard: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(stopped)?;
        // Listened for before anybody can know that the provider is there.
        let _entered = runtime.enter();
        let mut terminate = signal(SignalKind::terminate()).map_err(stopped)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(stopped)?;
        let idp = Idp::start(self.config()?).map_err(cannot_start)?;
        self.write_ca(&idp)?;
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

    fn config(&self) -> Result<IdpConfig, Failure> {
        let mut config = IdpConfig::new().listen(self.listen).control(self.control.control);
        if self.tls.is_some() {
            config = config.over_tls();
        }
        if let Some(file) = &self.faults {
            config = config.script(script(file)?);
        }
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

    /// Before anybody is told where the provider is.
    fn write_ca(&self, idp: &Idp) -> Result<(), Failure> {
        let (Some(file), Some(ca)) = (&self.tls, idp.ca_pem()) else { return Ok(()) };
        std::fs::write(file, ca).map_err(|error| {
            Failure::System(format!("{} cannot be written: {error}", file.display()))
        })
    }
}

fn cannot_start(error: IdpError) -> Failure {
    match error {
        IdpError::Bind { .. } | IdpError::Thread(_) | IdpError::Stopped => {
            Failure::System(error.to_string())
        }
        _ => Failure::usage(error),
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
