//! Every fault, with its name and what it does in one sentence: one table, from which the enum, the
//! command line and the page `docs/idp_faults.md` are made.

use std::fmt::{self, Write};
use std::ops::RangeInclusive;

use super::order::Documents;

/// The number that some faults take: what it counts, its default, and what is allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Amount {
    /// What the number says, in a few words.
    pub meaning: &'static str,
    /// What it is unless told otherwise.
    pub default: u64,
    /// What is accepted.
    pub range: RangeInclusive<u64>,
}

/// What a fault can be about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::idp) enum Reach {
    /// Either document, or both.
    Either,
    /// Provider metadata only.
    Discovery,
    /// The JWK Set only.
    Jwks,
    /// The port: it happens before anybody can know what will be asked for.
    Port,
    /// The same, to a provider that serves over TLS.
    Tls,
}

struct Entry {
    fault: Fault,
    name: &'static str,
    reach: Reach,
    amount: Option<Amount>,
    sentence: &'static str,
}

macro_rules! catalogue {
    ($($fault:ident $name:literal $reach:ident $sentence:literal
        $([$meaning:literal = $default:literal, $range:expr])?;)*) => {
        /// A way to misbehave. Names are stable; further ones may come.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Fault {
            $(#[doc = $sentence] $fault,)*
        }

        impl Fault {
            /// Every fault, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$fault),*];
        }

        const CATALOGUE: &[Entry] = &[$(Entry {
            fault: Fault::$fault,
            name: $name,
            reach: Reach::$reach,
            amount: catalogue!(@amount $($meaning, $default, $range)?),
            sentence: $sentence,
        }),*];
    };
    (@amount) => { None };
    (@amount $meaning:literal, $default:literal, $range:expr) => {
        Some(Amount { meaning: $meaning, default: $default, range: $range })
    };
}

catalogue! {
    Down "down" Port
        "The port is closed: whoever connects is refused";
    Blackhole "blackhole" Either
        "The request is read and never answered; its connection is closed when the fault is over";
    Swallow "swallow" Either
        "The request is read and never answered, and its connection stays open and dead when the \
         fault is over; later connections are fine";
    Reset "reset" Either
        "The request is read and its connection reset (TCP RST)";
    Late "late" Either
        "The answer is right and late"
        ["milliseconds" = 3_000, 0..=600_000];
    Status404 "status_404" Either
        "404 with an error in JSON";
    Status429 "status_429" Either
        "429 with `Retry-After`"
        ["seconds in Retry-After" = 30, 0..=86_400];
    Status500 "status_500" Either
        "500 with an error in JSON";
    Status502 "status_502" Either
        "502 with a proxy's page in HTML";
    Status503 "status_503" Either
        "503 with a `Retry-After` that counts up by one with each answer, as of a provider that boots"
        ["seconds in the first Retry-After" = 1, 0..=86_400];
    NotModified "not_modified" Either
        "304, also to whoever has nothing that could be unmodified";
    Html "html" Either
        "200 with a page in HTML, as of a captive portal";
    LoginRedirect "login_redirect" Either
        "302 to a login page in HTML on the same host";
    RedirectSameOrigin "redirect_same_origin" Either
        "302 to another path of the same origin, where the document is";
    RedirectOtherHost "redirect_other_host" Either
        "302 to another name of this host, where the document is";
    RedirectHttp "redirect_http" Tls
        "302 from https to plain http, where the document is";
    RedirectLoop "redirect_loop" Either
        "302 to the same place, again and again";
    RedirectUserinfo "redirect_userinfo" Either
        "302 to a URL with a user and a password in it, where the document is";
    RedirectCloudMetadata "redirect_cloud_metadata" Either
        "302 to the address where clouds hand out credentials";
    TruncatedJson "truncated_json" Either
        "200 with the first half of the document, announced as the whole";
    TruncatedBody "truncated_body" Either
        "200 with the first half of the document; then the connection ends, short of its \
         `Content-Length`";
    Oversized "oversized" Either
        "200 with the document, filled up with white space"
        ["bytes in the body" = 524_289, 0..=1_073_741_824];
    LengthTooLong "length_too_long" Either
        "200 with the document and a `Content-Length` beyond it; the rest never comes";
    LengthTooShort "length_too_short" Either
        "200 with the document and a `Content-Length` of half of it";
    EndlessChunks "endless_chunks" Either
        "200 with the document, then white space in chunks without an end (1 GiB, to be exact)";
    SlowDrip "slow_drip" Either
        "200 with the document, a few bytes at a time"
        ["bytes per second" = 1, 1..=1_000];
    CompressionBomb "compression_bomb" Either
        "200 with `Content-Encoding: gzip`: less than 512 KiB, which are 64 MiB of white space and then \
         the document";
    Bom "bom" Either
        "200 with a byte order mark before the document";
    WrongContentType "wrong_content_type" Either
        "200 with the document as `text/plain`";
    WrongIssuer "wrong_issuer" Discovery
        "The document names another `issuer`";
    RelativeJwksUri "relative_jwks_uri" Discovery
        "The `jwks_uri` is a path";
    FileJwksUri "file_jwks_uri" Discovery
        "The `jwks_uri` is a `file:` URL";
    NoJwksUri "no_jwks_uri" Discovery
        "There is no `jwks_uri`";
    UserinfoJwksUri "userinfo_jwks_uri" Discovery
        "The `jwks_uri` has a user and a password in it";
    CloudMetadataJwksUri "cloud_metadata_jwks_uri" Discovery
        "The `jwks_uri` is the address where clouds hand out credentials";
    EmptySet "empty_set" Jwks
        "`{\"keys\":[]}`";
    NoKeysMember "no_keys_member" Jwks
        "`{}`";
    NoUsableKey "no_usable_key" Jwks
        "Keys that nobody can use: of an unknown type, on an unknown curve, too short, and a shared \
         secret";
    OneBrokenKey "one_broken_key" Jwks
        "The realm's keys, and a broken one before them";
    ForeignKeys "foreign_keys" Jwks
        "The keys of another realm, or of a stranger when there is no other realm";
    DuplicateKids "duplicate_kids" Jwks
        "The realm's keys, and before each of them a stranger's key with the same kid";
    ManyKeys "many_keys" Jwks
        "The realm's keys, and after them RSA keys that nobody holds"
        ["keys in the set" = 10_000, 1..=20_000];
    PrivateKey "private_key" Jwks
        "The realm's keys with private members (made up: nothing secret is given away)";
    OnlyEncryptionKey "only_encryption_key" Jwks
        "One key, which is for encryption";
    FlappingSet "flapping_set" Jwks
        "Every other answer, beginning with the first, has a stranger's key in the place of the newest";
    ReplacedSet "replaced_set" Jwks
        "One new key and none that was known, as of a realm that was made again";
    TlsWrongName "tls_wrong_name" Tls
        "The certificate is for another name";
    TlsExpired "tls_expired" Tls
        "The certificate has expired";
    TlsUnknownCa "tls_unknown_ca" Tls
        "The certificate is of a CA that nobody knows";
    TlsSilent "tls_silent" Tls
        "The connection is accepted and the handshake never answered";
}

impl Fault {
    /// The name: lower case, words joined by `_`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |entry| entry.name)
    }

    /// The fault with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        CATALOGUE.iter().find(|entry| entry.name == name).map(|entry| entry.fault)
    }

    /// What it does, in one sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        self.entry().map_or("", |entry| entry.sentence)
    }

    /// The documents that it is about unless told otherwise; none when it is about connections, and
    /// so about all documents of all realms at once.
    #[must_use]
    pub fn documents(self) -> Option<Documents> {
        match self.reach() {
            Reach::Either => Some(Documents::Both),
            Reach::Discovery => Some(Documents::Discovery),
            Reach::Jwks => Some(Documents::Jwks),
            // A redirect is an answer, even where it needs TLS.
            Reach::Tls if self == Self::RedirectHttp => Some(Documents::Both),
            Reach::Port | Reach::Tls => None,
        }
    }

    /// The number that it takes, if it takes one.
    #[must_use]
    pub fn amount(self) -> Option<&'static Amount> {
        self.entry().and_then(|entry| entry.amount.as_ref())
    }

    /// Whether it can only happen to a provider that serves over TLS.
    #[must_use]
    pub fn needs_tls(self) -> bool {
        self.reach() == Reach::Tls
    }

    /// The page `docs/idp_faults.md`.
    #[must_use]
    pub fn reference() -> String {
        let mut page = INTRODUCTION.to_owned();
        for entry in CATALOGUE {
            // Writing into a String cannot fail.
            let _infallible = write_row(&mut page, entry);
        }
        page
    }

    fn reach(self) -> Reach {
        self.entry().map_or(Reach::Either, |entry| entry.reach)
    }

    /// Always there: enum and table are one list (and a test looks).
    fn entry(self) -> Option<&'static Entry> {
        CATALOGUE.iter().find(|entry| entry.fault == self)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const INTRODUCTION: &str = "\
<!-- generated from the catalogue of faults: make docs -->
# Faults of `keystead idp`

What `keystead idp fault NAME` makes the provider do, and `Idp::fault` in a test. [`idp.md`](idp.md) says how.
Names are never renamed.

*About* is what the fault can be ordered for: `discovery` (the provider metadata), `jwks` (the JWK Set),
either or both of them, or connections, which belong to every realm at once. *Amount* is what
`--amount` sets, with its default and the largest that is accepted.

| name | what happens | about | amount |
|---|---|---|---|
";

fn write_row(page: &mut String, entry: &Entry) -> fmt::Result {
    let about = match entry.fault.documents() {
        Some(Documents::Both) => "either or both",
        Some(documents) => documents.name(),
        None => "connections",
    };
    let tls = if entry.fault.needs_tls() { ", over TLS" } else { "" };
    write!(page, "| `{}` | {} | {about}{tls} | ", entry.name, entry.sentence)?;
    if let Some(amount) = &entry.amount {
        write!(page, "{}: {}, at most {}", amount.meaning, amount.default, amount.range.end())?;
    }
    page.push_str(" |\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_in_the_catalogue_once_under_a_stable_name() {
        assert_eq!(Fault::ALL.len(), CATALOGUE.len());
        for (fault, entry) in Fault::ALL.iter().zip(CATALOGUE) {
            assert_eq!((*fault, fault.name()), (entry.fault, entry.name));
            assert_eq!(Fault::from_name(entry.name), Some(entry.fault));
            let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            assert!(entry.name.bytes().all(is_word), "{}", entry.name);
            assert!(!entry.sentence.ends_with('.') && !entry.sentence.contains('|'));
            assert_eq!(entry.name.to_owned(), fault.to_string());
        }
        assert_eq!(Fault::from_name("Html"), None);
    }

    #[test]
    fn every_default_amount_is_one_that_is_accepted() {
        for fault in Fault::ALL {
            if let Some(amount) = fault.amount() {
                assert!(amount.range.contains(&amount.default), "{fault}");
            }
        }
    }
}
