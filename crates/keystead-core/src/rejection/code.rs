//! The one table: code, class, HTTP, RFC 6750 and gRPC, and what each code means.

use core::fmt;

/// The stable code of a refusal. Never renamed, never reused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each variant is documented by its row below: the code and its meaning"
)]
pub enum Code {
    AuthMissing,
    AuthNotBearer,
    AuthSeveralCredentials,
    TokenTooLarge,
    TokenEmpty,
    TokenSegments,
    TokenEncrypted,
    TokenBase64,
    TokenJson,
    TokenDuplicateMember,
    AlgNotAllowed,
    TypNotAccepted,
    CritUnsupported,
    IssuerUnknown,
    IssuerDisabled,
    KeyUnknownKid,
    KeyUnusable,
    KeyMismatch,
    KeyAmbiguous,
    KeysUnavailable,
    KeysExpired,
    SignatureInvalid,
    TokenExpired,
    TokenNotYetValid,
    TokenIssuedInFuture,
    TokenTooOld,
    ClaimMissing,
    ClaimType,
    AudienceNotAccepted,
    ClaimMismatch,
    ScopeInsufficient,
}

/// Who can put it right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Blame {
    /// Whoever sent the token.
    Caller,
    /// Whoever sent the token, or a clock that is wrong.
    CallerOrClock,
    /// Whoever sent the token, or whoever wrote the configuration.
    CallerOrConfiguration,
    /// The provider, or the way to it.
    Provider,
}

impl Blame {
    /// Who, in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::CallerOrClock => "caller or clock",
            Self::CallerOrConfiguration => "caller or configuration",
            Self::Provider => "provider",
        }
    }
}

/// The gRPC status codes that refusals use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GrpcCode {
    /// `INVALID_ARGUMENT`
    InvalidArgument = 3,
    /// `PERMISSION_DENIED`
    PermissionDenied = 7,
    /// `UNAVAILABLE`
    Unavailable = 14,
    /// `UNAUTHENTICATED`
    Unauthenticated = 16,
}

impl GrpcCode {
    /// The code's name, as gRPC writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// How a refusal is answered.
#[derive(Clone, Copy)]
enum Answer {
    /// 401, challenge without an error (RFC 6750 section 3: nothing was presented).
    Challenge,
    /// 400 `invalid_request`.
    InvalidRequest,
    /// 401 `invalid_token`.
    InvalidToken,
    /// 403 `insufficient_scope`.
    InsufficientScope,
    /// 503, cannot judge.
    Unavailable,
}

struct Row {
    code: &'static str,
    class: &'static str,
    answer: Answer,
    blame: Blame,
    meaning: &'static str,
}

const fn row(
    code: &'static str,
    class: &'static str,
    answer: Answer,
    blame: Blame,
    meaning: &'static str,
) -> Row {
    Row { code, class, answer, blame, meaning }
}

impl Code {
    /// Every code, in the order of the table in `docs/rejections.md`.
    pub const ALL: [Self; 31] = [
        Self::AuthMissing,
        Self::AuthNotBearer,
        Self::AuthSeveralCredentials,
        Self::TokenTooLarge,
        Self::TokenEmpty,
        Self::TokenSegments,
        Self::TokenEncrypted,
        Self::TokenBase64,
        Self::TokenJson,
        Self::TokenDuplicateMember,
        Self::AlgNotAllowed,
        Self::TypNotAccepted,
        Self::CritUnsupported,
        Self::IssuerUnknown,
        Self::IssuerDisabled,
        Self::KeyUnknownKid,
        Self::KeyUnusable,
        Self::KeyMismatch,
        Self::KeyAmbiguous,
        Self::KeysUnavailable,
        Self::KeysExpired,
        Self::SignatureInvalid,
        Self::TokenExpired,
        Self::TokenNotYetValid,
        Self::TokenIssuedInFuture,
        Self::TokenTooOld,
        Self::ClaimMissing,
        Self::ClaimType,
        Self::AudienceNotAccepted,
        Self::ClaimMismatch,
        Self::ScopeInsufficient,
    ];

    #[allow(clippy::too_many_lines, reason = "one row per code: a table is read as a whole")]
    #[rustfmt::skip]
    const fn row(self) -> Row {
        use Answer::{Challenge, InsufficientScope, InvalidRequest, InvalidToken, Unavailable};
        use Blame::{Caller, CallerOrClock, CallerOrConfiguration, Provider};
        match self {
            Self::AuthMissing => row("auth.missing", "malformed", Challenge, Caller, "the request carries no credentials"),
            Self::AuthNotBearer => row("auth.not_bearer", "malformed", Challenge, Caller, "the Authorization header uses another scheme than Bearer"),
            Self::AuthSeveralCredentials => row("auth.several_credentials", "malformed", InvalidRequest, Caller, "the request carries more than one credential"),
            Self::TokenTooLarge => row("token.too_large", "too_large", InvalidRequest, Caller, "the token, its header, its nesting, an object or a number in it exceeds its limit"),
            Self::TokenEmpty => row("token.empty", "malformed", InvalidToken, Caller, "there is nothing where the token belongs"),
            Self::TokenSegments => row("token.segments", "malformed", InvalidToken, Caller, "the token does not have three segments"),
            Self::TokenEncrypted => row("token.encrypted", "encrypted_token", InvalidToken, Caller, "the token is encrypted (JWE), which is not supported"),
            Self::TokenBase64 => row("token.base64", "malformed", InvalidToken, Caller, "a segment of the token is not base64url"),
            Self::TokenJson => row("token.json", "malformed", InvalidToken, Caller, "the header or the claims set of the token is not the JSON it must be"),
            Self::TokenDuplicateMember => row("token.duplicate_member", "malformed", InvalidToken, Caller, "an object in the token names a member twice"),
            Self::AlgNotAllowed => row("alg.not_allowed", "alg_not_allowed", InvalidToken, CallerOrConfiguration, "the algorithm of the token is not allowed"),
            Self::TypNotAccepted => row("typ.not_accepted", "bad_type", InvalidToken, CallerOrConfiguration, "the type of the token is not accepted"),
            Self::CritUnsupported => row("crit.unsupported", "unsupported_crit", InvalidToken, Caller, "the token demands an extension that is not supported"),
            Self::IssuerUnknown => row("issuer.unknown", "unknown_issuer", InvalidToken, CallerOrConfiguration, "the issuer of the token is not configured"),
            Self::IssuerDisabled => row("issuer.disabled", "unknown_issuer", InvalidToken, CallerOrConfiguration, "the provider of the token is switched off or not set up"),
            Self::KeyUnknownKid => row("key.unknown_kid", "unknown_key", InvalidToken, Caller, "the provider publishes no key that fits the token"),
            Self::KeyUnusable => row("key.unusable", "weak_key", InvalidToken, Provider, "the key that the token names is broken, too weak or distrusted"),
            Self::KeyMismatch => row("key.mismatch", "key_mismatch", InvalidToken, Caller, "the key that the token names is for another algorithm or purpose"),
            Self::KeyAmbiguous => row("key.ambiguous", "unknown_key", InvalidToken, CallerOrConfiguration, "the token names no key, and too many keys fit"),
            Self::KeysUnavailable => row("keys.unavailable", "keys_unavailable", Unavailable, Provider, "the keys of the provider are not available, so the token cannot be judged"),
            Self::KeysExpired => row("keys.expired", "keys_unavailable", Unavailable, Provider, "the keys of the provider are too old to be trusted"),
            Self::SignatureInvalid => row("signature.invalid", "bad_signature", InvalidToken, Caller, "the signature was not made by a key of the issuer"),
            Self::TokenExpired => row("token.expired", "expired", InvalidToken, CallerOrClock, "the token has expired"),
            Self::TokenNotYetValid => row("token.not_yet_valid", "not_yet_valid", InvalidToken, CallerOrClock, "the token is not valid yet"),
            Self::TokenIssuedInFuture => row("token.issued_in_future", "not_yet_valid", InvalidToken, CallerOrClock, "the token claims to be issued in the future"),
            Self::TokenTooOld => row("token.too_old", "expired", InvalidToken, CallerOrClock, "the token was issued too long ago"),
            Self::ClaimMissing => row("claim.missing", "missing_claim", InvalidToken, Caller, "a required claim is absent"),
            Self::ClaimType => row("claim.type", "malformed_claim", InvalidToken, Caller, "a claim has the wrong JSON type"),
            Self::AudienceNotAccepted => row("audience.not_accepted", "bad_audience", InvalidToken, CallerOrConfiguration, "the token is meant for another audience"),
            Self::ClaimMismatch => row("claim.mismatch", "bad_audience", InvalidToken, CallerOrConfiguration, "a required claim has another value"),
            Self::ScopeInsufficient => row("scope.insufficient", "insufficient_scope", InsufficientScope, CallerOrConfiguration, "the token is genuine but lacks a required scope"),
        }
    }

    /// The code, as it stands in bodies, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().code
    }

    /// What the code means, in a sentence without any presented value.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// Who can put it right.
    #[must_use]
    pub const fn blame(self) -> Blame {
        self.row().blame
    }

    /// The class of the test vectors.
    #[must_use]
    pub const fn class(self) -> &'static str {
        self.row().class
    }

    /// The HTTP status.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self.row().answer {
            Answer::InvalidRequest => 400,
            Answer::Challenge | Answer::InvalidToken => 401,
            Answer::InsufficientScope => 403,
            Answer::Unavailable => 503,
        }
    }

    /// The gRPC status code.
    #[must_use]
    pub const fn grpc_code(self) -> GrpcCode {
        match self.row().answer {
            Answer::InvalidRequest => GrpcCode::InvalidArgument,
            Answer::Challenge | Answer::InvalidToken => GrpcCode::Unauthenticated,
            Answer::InsufficientScope => GrpcCode::PermissionDenied,
            Answer::Unavailable => GrpcCode::Unavailable,
        }
    }

    /// The `error` of a refusal body: a code of RFC 6750 section 3.1, or `temporarily_unavailable`
    /// (RFC 6749 section 4.1.2.1).
    #[must_use]
    pub const fn error(self) -> &'static str {
        match self.row().answer {
            Answer::Challenge | Answer::InvalidRequest => "invalid_request",
            Answer::InvalidToken => "invalid_token",
            Answer::InsufficientScope => "insufficient_scope",
            Answer::Unavailable => "temporarily_unavailable",
        }
    }

    /// The `WWW-Authenticate` value (RFC 6750 section 3), if refusals with this code have one.
    #[must_use]
    pub fn challenge(self) -> Option<String> {
        match self.row().answer {
            Answer::Unavailable => None,
            Answer::Challenge => Some("Bearer realm=\"keystead\"".to_owned()),
            _ => Some(format!(
                "Bearer realm=\"keystead\", error=\"{}\", error_description=\"{}\"",
                self.error(),
                self.meaning()
            )),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_challenges_fit_a_quoted_string() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert_eq!(code.to_string(), code.as_str());
            // RFC 6750 section 3: error_description excludes the quote and the backslash.
            assert!(!code.meaning().contains(['"', '\\']), "{code}");
        }
    }

    /// T30: without credentials the challenge names no error.
    #[test]
    fn a_request_without_credentials_is_challenged_without_an_error() {
        let challenge = Code::AuthMissing.challenge().unwrap();
        assert_eq!(challenge, "Bearer realm=\"keystead\"");
        assert_eq!(Code::KeysUnavailable.challenge(), None);
        let expired = Code::TokenExpired.challenge().unwrap();
        assert!(expired.contains("error=\"invalid_token\""), "{expired}");
    }

    #[test]
    fn whom_to_ask_is_named() {
        for (code, whom) in [
            (Code::TokenEmpty, "caller"),
            (Code::TokenExpired, "caller or clock"),
            (Code::IssuerUnknown, "caller or configuration"),
            (Code::KeysUnavailable, "provider"),
        ] {
            assert_eq!(code.blame().as_str(), whom, "{code}");
        }
    }
}
