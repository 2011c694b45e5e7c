//! The reasons themselves, with what was seen and what was wanted.

use core::time::Duration;

use super::Code;
use crate::json::{JsonError, Kind};
use crate::state::{Disabled, DisabledWhy, ProviderState};
use crate::token::Segment;
use crate::{Algorithm, AlgorithmSet, KeyProblem};

/// Why a token was refused. Data only; [`core::fmt::Display`] gives the sentence.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    // What was presented, before any token was seen.
    /// No credentials.
    Missing,
    /// An `Authorization` of another scheme.
    NotBearer {
        /// The scheme.
        scheme: Box<str>,
    },
    /// More than one credential in one request (RFC 6750 section 2).
    SeveralCredentials,
    /// Something exceeds its limit.
    TooLarge {
        /// What: `token`, `header`, `nesting`, `object` or `number`.
        what: &'static str,
        /// How large it is, where that was measured.
        found: Option<usize>,
        /// The limit.
        limit: usize,
        /// The unit of both.
        unit: &'static str,
    },

    // What is no token.
    /// Nothing where a token belongs.
    Empty,
    /// Not three segments (RFC 7515 section 7.1).
    Segments {
        /// How many there are.
        found: usize,
    },
    /// An encrypted token (RFC 7516).
    Encrypted,
    /// A segment that is not base64url (RFC 7515 section 2).
    Base64 {
        /// Which one.
        segment: Segment,
    },
    /// A segment that does not hold the JSON it must.
    Json {
        /// Which one.
        segment: Segment,
        /// What is wrong.
        fault: JsonFault,
    },
    /// A member named twice in one object (RFC 7515 section 4, RFC 7519 section 4).
    DuplicateMember {
        /// Where.
        segment: Segment,
        /// The name.
        name: Box<str>,
    },
    /// A claim of the wrong JSON type.
    ClaimType {
        /// The claim.
        claim: Box<str>,
        /// What it is instead.
        found: Kind,
    },

    // Whose token it is.
    /// No `iss`.
    MissingIssuer,
    /// An `iss` that no provider has.
    UnknownIssuer {
        /// The `iss`.
        presented: Box<str>,
    },
    /// A token of a provider that is disabled.
    ProviderDisabled {
        /// How, and why.
        disabled: Disabled,
    },

    // What the header may say.
    /// An `alg` that is not allowed (RFC 8725 section 3.1).
    AlgorithmNotAllowed {
        /// The `alg`.
        presented: Box<str>,
        /// What is allowed.
        allowed: AlgorithmSet,
    },
    /// A `typ` that is not accepted (RFC 8725 section 3.11).
    WrongType {
        /// The `typ`.
        presented: Option<Box<str>>,
        /// What is accepted; empty: anything that does not name another purpose.
        expected: Vec<String>,
    },
    /// Extensions that must be understood (RFC 7515 section 4.1.11).
    UnsupportedCritical {
        /// Their names.
        names: Vec<String>,
    },

    // Which key.
    /// No key with this `kid`, or none that fits.
    NoKey {
        /// The `kid`.
        kid: Option<Box<str>>,
        /// The provider's state, which decides whether this is final.
        state: ProviderState,
    },
    /// No key with this `kid`, or none that fits, is held by a provider that is ready; but it is
    /// being asked for one, and has not answered yet.
    NoKeyInTime {
        /// The `kid`.
        kid: Option<Box<str>>,
    },
    /// The key with this `kid` is published but cannot be used.
    KeyUnusable {
        /// The `kid`.
        kid: Option<Box<str>>,
        /// Why.
        why: KeyProblem,
    },
    /// The key with this `kid` is for something else.
    KeyMismatch {
        /// The `kid`.
        kid: Option<Box<str>>,
        /// The `alg` of the token.
        algorithm: Algorithm,
        /// Why it does not fit.
        why: KeyProblem,
    },
    /// No `kid`, and more fitting keys than are tried.
    Ambiguous {
        /// How many fit.
        fitting: usize,
    },
    /// The provider has no usable key.
    NoKeysYet {
        /// Its state.
        state: ProviderState,
    },
    /// The provider's keys are past `max_stale`.
    KeysExpired {
        /// How old they are.
        age: Duration,
        /// How old they may be.
        limit: Duration,
    },

    // The signature.
    /// No candidate key made this signature.
    BadSignature {
        /// How many were tried.
        candidates: usize,
    },

    // Time.
    /// `exp` has passed (RFC 7519 section 4.1.4).
    Expired {
        /// The `exp`.
        exp: f64,
        /// The time of judgement.
        now: f64,
        /// How far clocks may differ.
        leeway: Duration,
    },
    /// `nbf` has not come (RFC 7519 section 4.1.5).
    NotYetValid {
        /// The `nbf`.
        nbf: f64,
        /// The time of judgement.
        now: f64,
        /// How far clocks may differ.
        leeway: Duration,
    },
    /// `iat` has not come (RFC 7519 section 4.1.6).
    IssuedInFuture {
        /// The `iat`.
        iat: f64,
        /// The time of judgement.
        now: f64,
        /// How far clocks may differ.
        leeway: Duration,
    },
    /// `iat` is longer ago than `max_token_age`.
    TooOld {
        /// The `iat`.
        iat: f64,
        /// The time of judgement.
        now: f64,
        /// How old a token may be.
        max_age: Duration,
    },

    // The other claims.
    /// A required claim is absent.
    MissingClaim {
        /// The claim.
        claim: Box<str>,
    },
    /// Meant for somebody else (RFC 7519 section 4.1.3).
    WrongAudience {
        /// The `aud`.
        presented: Vec<String>,
        /// What is accepted.
        accepted: Vec<String>,
    },
    /// A required claim has another value.
    ClaimMismatch {
        /// The claim.
        claim: Box<str>,
        /// Its value, as JSON or bare text.
        presented: Box<str>,
        /// What is accepted.
        accepted: Vec<String>,
    },
    /// A genuine token without a scope that is asked for.
    InsufficientScope {
        /// The scopes that it lacks.
        missing: Vec<String>,
    },
}

/// What is wrong with the JSON of a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JsonFault {
    /// The text is not the JSON it must be.
    Text(JsonError),
    /// A header member that is absent, or not a string.
    HeaderMember {
        /// The member.
        name: &'static str,
        /// What it is instead; none: it is absent.
        found: Option<Kind>,
    },
}

impl Reason {
    /// The stable code. A provider that cannot be judged for turns "no such key" into "cannot
    /// judge", which is why this looks at the data and not at the variant alone.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing => Code::AuthMissing,
            Self::NotBearer { .. } => Code::AuthNotBearer,
            Self::SeveralCredentials => Code::AuthSeveralCredentials,
            Self::TooLarge { .. } => Code::TokenTooLarge,
            Self::Empty => Code::TokenEmpty,
            Self::Segments { .. } => Code::TokenSegments,
            Self::Encrypted => Code::TokenEncrypted,
            Self::Base64 { .. } => Code::TokenBase64,
            Self::Json { .. } => Code::TokenJson,
            Self::DuplicateMember { .. } => Code::TokenDuplicateMember,
            Self::ClaimType { .. } => Code::ClaimType,
            Self::MissingIssuer | Self::MissingClaim { .. } => Code::ClaimMissing,
            Self::UnknownIssuer { .. } => Code::IssuerUnknown,
            Self::ProviderDisabled {
                disabled: Disabled { why: DisabledWhy::Misconfigured, .. },
            }
            | Self::NoKeyInTime { .. }
            | Self::NoKeysYet { .. } => Code::KeysUnavailable,
            Self::ProviderDisabled { .. } => Code::IssuerDisabled,
            Self::AlgorithmNotAllowed { .. } => Code::AlgNotAllowed,
            Self::WrongType { .. } => Code::TypNotAccepted,
            Self::UnsupportedCritical { .. } => Code::CritUnsupported,
            Self::NoKey { state: ProviderState::Ready, .. } => Code::KeyUnknownKid,
            Self::NoKey { .. } => Code::KeysUnavailable,
            Self::KeyUnusable { .. } => Code::KeyUnusable,
            Self::KeyMismatch { .. } => Code::KeyMismatch,
            Self::Ambiguous { .. } => Code::KeyAmbiguous,
            Self::KeysExpired { .. } => Code::KeysExpired,
            Self::BadSignature { .. } => Code::SignatureInvalid,
            Self::Expired { .. } => Code::TokenExpired,
            Self::NotYetValid { .. } => Code::TokenNotYetValid,
            Self::IssuedInFuture { .. } => Code::TokenIssuedInFuture,
            Self::TooOld { .. } => Code::TokenTooOld,
            Self::WrongAudience { .. } => Code::AudienceNotAccepted,
            Self::ClaimMismatch { .. } => Code::ClaimMismatch,
            Self::InsufficientScope { .. } => Code::ScopeInsufficient,
        }
    }

    /// The class of the test vectors, which for claims of the wrong type depends on the claim.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::ClaimType { claim, .. } if &**claim == "iss" => "bad_issuer",
            Self::ClaimType { claim, .. } if &**claim == "aud" => "bad_audience",
            _ => self.code().class(),
        }
    }

    /// How specific this is: when several candidate keys failed for several reasons, the one with
    /// the highest rank is reported.
    #[must_use]
    pub const fn rank(&self) -> u8 {
        match self {
            Self::BadSignature { .. } => 5,
            Self::KeyMismatch { .. } => 4,
            Self::KeyUnusable { .. } => 3,
            Self::KeysExpired { .. } => 2,
            Self::Ambiguous { .. } | Self::NoKey { .. } => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of the key that a token names, from the least to the most.
    #[test]
    fn the_more_is_known_of_a_key_the_higher_is_the_rank() {
        let kid = || Some("k".into());
        let why = || KeyProblem::KeyOps;
        let reasons = [
            Reason::NoKeysYet { state: ProviderState::Cold },
            Reason::NoKey { kid: kid(), state: ProviderState::Ready },
            Reason::KeysExpired { age: Duration::from_secs(2), limit: Duration::from_secs(1) },
            Reason::KeyUnusable { kid: kid(), why: why() },
            Reason::KeyMismatch { kid: kid(), algorithm: Algorithm::Es256, why: why() },
            Reason::BadSignature { candidates: 1 },
        ];
        assert!(reasons.is_sorted_by(|one, other| one.rank() < other.rank()));
        assert_eq!(Reason::Ambiguous { fitting: 17 }.rank(), reasons[1].rank());
    }
}
