//! What becomes of tokens under each fault at each moment: the test holds the library to it, and
//! `docs/resilience.md` is made from it.

use keystead_testkit::idp::Fault;

/// When a fault begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// Before the provider was ever reached.
    Start,
    /// When its keys are held.
    WarmUp,
    /// When its keys are held and it begins to sign with a new one.
    Rotation,
}

impl Moment {
    pub(crate) const ALL: [Self; 3] = [Self::Start, Self::WarmUp, Self::Rotation];
}

/// What holds once the provider was asked during the fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    /// What a token gets that is signed with the provider's newest key.
    pub(crate) token: Verdict,
    /// The state of the provider.
    pub(crate) state: &'static str,
    /// The code of its last error.
    pub(crate) error: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Accepted,
    Refused(u16, &'static str),
}

/// A fault, and what holds at each of [`Moment::ALL`].
pub(crate) type Row = (Fault, [Outcome; 3]);

/// Every fault of the catalogue, in its order.
pub(crate) const TABLE: &[Row] = &[
    unavailable(Fault::Down, "connect"),
    unavailable(Fault::Blackhole, "timeout"),
    unavailable(Fault::Swallow, "timeout"),
    unavailable(Fault::Reset, "connect"),
    unavailable(Fault::Late, "timeout"),
    unavailable(Fault::Status404, "status"),
    unavailable(Fault::Status429, "rate_limited"),
    unavailable(Fault::Status500, "status"),
    unavailable(Fault::Status502, "status"),
    unavailable(Fault::Status503, "status"),
    unavailable(Fault::NotModified, "status"),
    unavailable(Fault::Html, "login_page"),
    unavailable(Fault::LoginRedirect, "login_page"),
    harmless(Fault::RedirectSameOrigin),
    unavailable(Fault::RedirectOtherHost, "redirect"),
    unavailable(Fault::RedirectHttp, "redirect"),
    unavailable(Fault::RedirectLoop, "redirect"),
    unavailable(Fault::RedirectUserinfo, "bad_url"),
    unavailable(Fault::RedirectCloudMetadata, "redirect"),
    unavailable(Fault::TruncatedJson, "not_json"),
    unavailable(Fault::TruncatedBody, "connect"),
    unavailable(Fault::Oversized, "too_large"),
    unavailable(Fault::LengthTooLong, "timeout"),
    unavailable(Fault::LengthTooShort, "not_json"),
    unavailable(Fault::EndlessChunks, "too_large"),
    unavailable(Fault::SlowDrip, "timeout"),
    unavailable(Fault::CompressionBomb, "encoding"),
    harmless(Fault::Bom),
    harmless(Fault::WrongContentType),
    gate(Fault::WrongIssuer, "issuer_mismatch"),
    gate(Fault::RelativeJwksUri, "no_jwks_uri"),
    gate(Fault::FileJwksUri, "no_jwks_uri"),
    gate(Fault::NoJwksUri, "no_jwks_uri"),
    gate(Fault::UserinfoJwksUri, "bad_url"),
    gate(Fault::CloudMetadataJwksUri, "scheme"),
    unavailable(Fault::EmptySet, "empty_set"),
    unavailable(Fault::NoKeysMember, "no_keys_member"),
    unavailable(Fault::NoUsableKey, "no_usable_key"),
    harmless(Fault::OneBrokenKey),
    other_keys(Fault::ForeignKeys),
    harmless(Fault::DuplicateKids),
    unavailable(Fault::ManyKeys, "too_large"),
    harmless(Fault::PrivateKey),
    unavailable(Fault::OnlyEncryptionKey, "no_usable_key"),
    other_keys(Fault::FlappingSet),
    other_keys(Fault::ReplacedSet),
    unavailable(Fault::TlsWrongName, "tls_name"),
    unavailable(Fault::TlsExpired, "tls"),
    unavailable(Fault::TlsUnknownCa, "tls"),
    unavailable(Fault::TlsSilent, "timeout"),
];

const READY: Outcome = Outcome { token: Verdict::Accepted, state: "ready", error: None };

/// Nothing usable comes: what is held stays, and what is not held cannot be judged.
const fn unavailable(fault: Fault, code: &'static str) -> Row {
    let error = Some(code);
    let token = Verdict::Refused(503, "keys.unavailable");
    let start = Outcome { token, state: "cold", error };
    let warm_up = Outcome { token: Verdict::Accepted, state: "stale", error };
    (fault, [start, warm_up, Outcome { token, ..warm_up }])
}

/// The metadata document is no use: its last known `jwks_uri` is asked all the same, once there is
/// one, and gives even new keys.
const fn gate(fault: Fault, code: &'static str) -> Row {
    let error = Some(code);
    let token = Verdict::Refused(503, "keys.unavailable");
    let warm = Outcome { error, ..READY };
    (fault, [Outcome { token, state: "cold", error }, warm, warm])
}

/// Good answers without the newest key. One that omits every key that is held removes none yet.
const fn other_keys(fault: Fault) -> Row {
    let unknown = Outcome { token: Verdict::Refused(401, "key.unknown_kid"), ..READY };
    (fault, [unknown, READY, unknown])
}

/// The keys come through.
const fn harmless(fault: Fault) -> Row {
    (fault, [READY, READY, READY])
}
