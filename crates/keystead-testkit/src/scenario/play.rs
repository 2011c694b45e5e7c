//! A row as a running provider.

use std::time::Duration;

use keystead::core::Algorithm;
use serde_json::{Value, json};
use url::Url;

use super::error::ScenarioError;
use super::names::{Names, PORT2};
use super::row::{Deed, Scenario, Scripted, SourceKind, Step};
use crate::idp::{
    CannedAnswer, DEFAULT_REALM, Documents, Fault, Idp, IdpConfig, Order, RealmConfig, Transport,
};
use crate::{SigningKey, Token};

/// An issuer at a name that does not exist (RFC 2606 section 2).
const NOWHERE: &str = "https://idp.invalid/realms/demo";

/// How long the tokens last.
const TTL: Duration = Duration::from_secs(3600);

/// A row as a running provider, with what a configuration says about it. Dropping it ends the
/// provider.
#[derive(Debug)]
pub struct Play {
    idp: Idp,
    second: Option<Idp>,
    source: SourceKind,
    issuer: String,
    jwks_url: Option<String>,
    /// What tokens have as `iss`.
    iss: String,
    old: SigningKey,
    new: SigningKey,
}

impl Scenario {
    /// Starts a provider that does what the row says, from its first request on. What the row does
    /// not say is right; the last answer of a document is given to all further requests for it.
    ///
    /// # Errors
    /// [`ScenarioError`], when the row makes no sense or the provider cannot be started.
    pub fn play(&self) -> Result<Play, ScenarioError> {
        self.play_with(IdpConfig::new())
    }

    /// The same with this configuration, which may have a clock and a control endpoint. Realms,
    /// transport and script are the row's.
    ///
    /// # Errors
    /// As [`Scenario::play`].
    pub fn play_with(&self, config: IdpConfig) -> Result<Play, ScenarioError> {
        let (old, new) =
            (SigningKey::generate(Algorithm::Es256)?, SigningKey::generate(Algorithm::Es256)?);
        let mut realm = RealmConfig::new(DEFAULT_REALM).keys([old.clone()]);
        realm.issuer = self.fixed_issuer();
        let mut config = config;
        config.realms = vec![realm];
        config.script = Vec::new();
        config.transport = if self.downgrades() { Transport::Tls } else { Transport::PlainHttp };
        let idp = Idp::start(config)?;
        let needs_second = self.locations().any(|location| location.contains(PORT2));
        let second = needs_second.then(|| Idp::start(IdpConfig::new().realm(DEFAULT_REALM)));
        let second = second.transpose()?;
        let names = Names {
            discovery: idp.discovery(DEFAULT_REALM)?,
            old: old.jwk(),
            new: new.jwk(),
            port2: second.as_ref().map(|second| second.addr().port()),
        };
        idp.script(self.orders(&names)?)?;
        let iss = idp.issuer(DEFAULT_REALM)?;
        let issuer = self.issuer.clone().unwrap_or_else(|| iss.clone());
        let jwks_url = self.written_jwks_url(idp.jwks_url(DEFAULT_REALM)?);
        Ok(Play { idp, second, source: self.source, issuer, jwks_url, iss, old, new })
    }

    /// The issuer of tokens where it is not the provider's address.
    fn fixed_issuer(&self) -> Option<String> {
        if self.steps.iter().any(|step| step.deed == Deed::UnknownName) {
            return Some(NOWHERE.to_owned());
        }
        self.issuer.clone().filter(|issuer| !issuer.is_empty())
    }

    /// A URL in a row stands for the provider's; what is none is written as it is.
    fn written_jwks_url(&self, real: String) -> Option<String> {
        let written = self.jwks_url.clone().filter(|written| Url::parse(written).is_err());
        (self.source == SourceKind::JwksUrl).then(|| written.unwrap_or(real))
    }

    /// Whether it redirects to http: only from https that is less.
    fn downgrades(&self) -> bool {
        self.locations().any(|location| location.starts_with("http://"))
    }

    fn locations(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.deed {
            Deed::Answer(answer) => answer.location.as_deref(),
            _ => None,
        })
    }

    fn orders(&self, names: &Names) -> Result<Vec<Order>, ScenarioError> {
        let wrong = |problem| ScenarioError::Row { row: self.id.clone(), problem };
        let mut orders = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            let is_last = !self
                .steps
                .iter()
                .skip(number.saturating_add(1))
                .any(|later| later.documents == step.documents);
            let Some(order) = order(step, names).map_err(wrong)? else { continue };
            orders.push(if step.repeats || is_last { order } else { order.requests(1) });
        }
        Ok(orders)
    }
}

/// What the provider is told for one step; nothing when it is not the provider that does it.
fn order(step: &Step, names: &Names) -> Result<Option<Order>, String> {
    let order = match &step.deed {
        Deed::UnknownName => return Ok(None),
        // Of a port that is closed no document is in particular.
        Deed::ConnectRefused if step.documents == Documents::Both => {
            return Ok(Some(Order::new(Fault::Down)));
        }
        Deed::ConnectRefused => return Err("a port is closed for both documents".to_owned()),
        Deed::Large(bytes) => Order::new(Fault::Oversized).amount(*bytes),
        Deed::Drip(rate) => Order::new(Fault::SlowDrip).amount(*rate),
        Deed::Answer(scripted) => Order::answer(answer(scripted, names)?),
    };
    Ok(Some(order.documents(step.documents)))
}

fn answer(scripted: &Scripted, names: &Names) -> Result<CannedAnswer, String> {
    let mut answer = CannedAnswer::new(scripted.status).body(names.body(&scripted.body)?);
    let location = scripted.location.as_deref().map(|location| names.url(location)).transpose()?;
    for (name, value) in [
        ("content-type", scripted.content_type.clone()),
        ("etag", scripted.etag.clone()),
        ("location", location),
    ] {
        if let Some(value) = value {
            answer = answer.header(name, value);
        }
    }
    Ok(answer)
}

impl Play {
    /// The provider. Its realm is [`DEFAULT_REALM`].
    #[must_use]
    pub const fn idp(&self) -> &Idp {
        &self.idp
    }

    /// The provider at `$PORT2`, where the row has one; nobody has any business there.
    #[must_use]
    pub const fn second(&self) -> Option<&Idp> {
        self.second.as_ref()
    }

    /// Where the keys come from.
    #[must_use]
    pub const fn source(&self) -> SourceKind {
        self.source
    }

    /// What a configuration has as `issuer`; it may be empty.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What a configuration has as `jwks_url`, a URL or not; none for other sources.
    #[must_use]
    pub fn jwks_url(&self) -> Option<&str> {
        self.jwks_url.as_deref()
    }

    /// `$JWKS`: for [`SourceKind::InProcess`].
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.old.jwk()] })
    }

    /// A token for this audience, signed with the key in `$JWKS`.
    ///
    /// # Errors
    /// [`ScenarioError::Mint`].
    pub fn token(&self, audience: &str) -> Result<String, ScenarioError> {
        self.signed(audience, &self.old)
    }

    /// A token for this audience, signed with the key that is only in `$JWKS_OLD_PLUS_NEW`.
    ///
    /// # Errors
    /// [`ScenarioError::Mint`].
    pub fn token_of_new_key(&self, audience: &str) -> Result<String, ScenarioError> {
        self.signed(audience, &self.new)
    }

    fn signed(&self, audience: &str, key: &SigningKey) -> Result<String, ScenarioError> {
        let now = self.idp.now();
        let token = Token::new().audience(audience).issuer(self.iss.as_str()).subject("alice");
        Ok(token.issued_at(now).expires_in(now, TTL).sign(key)?)
    }
}
