//! Which configuration a verb works with: flags over variables over a file.

use std::path::{Path, PathBuf};

use keystead::Config;
use keystead::config::{ConfigFile, Layers};

use super::Failure;

/// Where a file is looked for when none is named.
const PLACES: [&str; 2] = ["keystead.yaml", "/etc/keystead/keystead.yaml"];
/// The variable that names the file.
const VARIABLE: &str = "KEYSTEAD_CONFIG";

/// The configuration to work with.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file (YAML, or by extension TOML or JSON)
    ///
    /// Else `KEYSTEAD_CONFIG` names it; else it is ./keystead.yaml or /etc/keystead/keystead.yaml.
    /// Variables such as `KEYSTEAD_PROVIDERS__NAME__ISSUER` alone are a configuration too.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Settings on the command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// One setting, over what variables and the file say; can be repeated
    ///
    /// Such as: --set providers.keycloak.leeway=5s
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

/// Start the server: forward-auth, verification, health and status
///
/// It starts with any subset of its providers working, and says which are not and why.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where the public faces listen (setting: `listen`)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where status and administration listen (setting: `admin_listen`)
    #[arg(long, value_name = "ADDRESS:PORT|unix:PATH")]
    admin_listen: Option<String>,
}

impl ServeArgs {
    /// The configuration, with the flags over everything.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        let flags = [("listen", &self.listen), ("admin_listen", &self.admin_listen)];
        let flags = flags.into_iter().filter_map(|(path, value)| Some((path, value.clone()?)));
        self.config.load_with(flags.map(|(path, value)| (path.to_owned(), value)).collect())
    }
}

impl ConfigArgs {
    /// The configuration, ready to use.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        self.load_with(Vec::new())
    }

    /// What is written, layer by layer. `file` stands in for `--config`.
    pub(crate) fn layers(&self, file: Option<&Path>) -> Result<Layers, Failure> {
        let file = file.or(self.config.as_deref()).map(Path::to_owned);
        let file = file.or_else(|| {
            let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
            named.map(PathBuf::from)
        });
        let place = || PLACES.into_iter().map(PathBuf::from).find(|place| place.exists());
        let file = file.or_else(place).map(ConfigFile::read).transpose();
        Ok(Layers {
            flags: self.settings.layer(),
            env: variables(),
            file: file.map_err(|error| Failure::Configuration(error, None))?,
        })
    }

    /// The settings on the command line.
    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    fn load_with(&self, more: Vec<(String, String)>) -> Result<Config, Failure> {
        let mut layers = self.layers(None)?;
        layers.flags.extend(more);
        Config::load(&layers).map_err(|error| {
            let looked = layers.file.is_none().then(no_file);
            Failure::Configuration(error, looked)
        })
    }
}

/// Where a file was looked for in vain.
pub(crate) fn no_file() -> String {
    format!("no file was read: there is no {}; --config names another one", PLACES.join(" and no "))
}

impl Settings {
    /// The settings as the layer of flags.
    pub(crate) fn layer(&self) -> Vec<(String, String)> {
        self.settings.clone()
    }
}

/// The environment. What is not UTF-8 in it is replaced: no setting of ours is.
fn variables() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// The environment without the settings of Keystead: of what is left, those that name proxies count.
pub(crate) fn proxy_variables() -> Vec<(String, String)> {
    variables().into_iter().filter(|(name, _)| !name.starts_with("KEYSTEAD_")).collect()
}

fn setting(argument: &str) -> Result<(String, String), String> {
    let (path, value) = argument.split_once('=').ok_or("write PATH=VALUE, such as drain=0s")?;
    Ok((path.to_owned(), value.to_owned()))
}
