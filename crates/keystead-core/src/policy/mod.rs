//! What a provider's tokens must look like, and what one call asks for on top.

mod judge;

use core::time::Duration;

use crate::AlgorithmSet;

pub(crate) use judge::{Demands, admit_critical, check_types};

/// Which audiences are accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Audiences {
    /// The token's `aud` must name one of these (RFC 7519 section 4.1.3).
    OneOf(Vec<String>),
    /// `aud` is not looked at. This has to be written out; it is never a default.
    Any,
}

/// What one required claim must be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClaimRule {
    /// Present, whatever its value; `null` counts as absent.
    Present,
    /// Equal to one of these strings; of a JSON array, one element must be. Numbers and booleans
    /// are compared by their JSON text.
    OneOf(Vec<String>),
}

/// The policy of one provider: everything that a token of it is compared with.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// The string compared with `iss`, byte for byte.
    pub issuer: String,
    /// Further strings that the operator declared equal to [`Policy::issuer`].
    pub aliases: Vec<String>,
    /// Accepted audiences.
    pub audiences: Audiences,
    /// Accepted signature algorithms. Default: [`AlgorithmSet::DEFAULT`].
    pub algorithms: AlgorithmSet,
    /// Accepted `typ` values, compared without case and without an `application/` prefix. Empty
    /// (the default): absent, or any that does not name another purpose.
    pub typ: Vec<String>,
    /// Claims that must be there, by name.
    pub required_claims: Vec<(String, ClaimRule)>,
    /// Scopes that the token must carry, all of them.
    pub scopes: Vec<String>,
    /// How far clocks may differ, for `exp`, `nbf` and `iat`. Default: 60 s.
    pub leeway: Duration,
    /// How long ago `iat` may be; when set, `iat` is required. Default: no limit.
    pub max_token_age: Option<Duration>,
}

impl Policy {
    /// The default leeway.
    pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);

    /// A policy with every default, for tokens of `issuer` meant for one of `audiences`.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audiences: Audiences) -> Self {
        Self {
            issuer: issuer.into(),
            aliases: Vec::new(),
            audiences,
            algorithms: AlgorithmSet::DEFAULT,
            typ: Vec::new(),
            required_claims: Vec::new(),
            scopes: Vec::new(),
            leeway: Self::DEFAULT_LEEWAY,
            max_token_age: None,
        }
    }
}

/// What one call asks for in place of the provider's policy.
///
/// A field that is set replaces the provider's; a field left unset keeps it. Audiences are never
/// dropped by being unset. The default asks for nothing beyond the policy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Requirements {
    /// Replaces [`Policy::audiences`].
    pub audiences: Option<Audiences>,
    /// Replaces [`Policy::algorithms`].
    pub algorithms: Option<AlgorithmSet>,
    /// Replaces [`Policy::typ`].
    pub typ: Option<Vec<String>>,
    /// Replaces [`Policy::required_claims`].
    pub required_claims: Option<Vec<(String, ClaimRule)>>,
    /// Replaces [`Policy::scopes`].
    pub scopes: Option<Vec<String>>,
    /// Replaces [`Policy::leeway`].
    pub leeway: Option<Duration>,
    /// Replaces [`Policy::max_token_age`].
    pub max_token_age: Option<Duration>,
}

impl Requirements {
    /// Requirements that change nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for one of these audiences.
    #[must_use]
    pub fn audiences<S: Into<String>>(mut self, audiences: impl IntoIterator<Item = S>) -> Self {
        self.audiences = Some(Audiences::OneOf(audiences.into_iter().map(Into::into).collect()));
        self
    }

    /// Accepts only these algorithms.
    #[must_use]
    pub const fn algorithms(mut self, algorithms: AlgorithmSet) -> Self {
        self.algorithms = Some(algorithms);
        self
    }

    /// Accepts only these `typ` values.
    #[must_use]
    pub fn typ<S: Into<String>>(mut self, typ: impl IntoIterator<Item = S>) -> Self {
        self.typ = Some(typ.into_iter().map(Into::into).collect());
        self
    }

    /// Asks for all of these scopes.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// Asks for a claim, beside those already asked for in this value.
    #[must_use]
    pub fn required_claim(mut self, name: impl Into<String>, rule: ClaimRule) -> Self {
        self.required_claims.get_or_insert_default().push((name.into(), rule));
        self
    }

    /// Allows clocks to differ this far.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// Refuses tokens issued longer ago than this.
    #[must_use]
    pub const fn max_token_age(mut self, age: Duration) -> Self {
        self.max_token_age = Some(age);
        self
    }
}
