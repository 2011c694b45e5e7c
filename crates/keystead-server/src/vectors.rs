//! Vector files: one token per line, with everything that its verdict may depend on.
//!
//! A case brings its own keys, issuer, audience, algorithms and time, so that a verdict needs no
//! network, no clock and no configuration. The keys are the operator's, and their provider is
//! ready: no case waits for anything.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keystead::core::json::{self, Limits, Value};
use keystead::core::text::{escaped, quoted};
use keystead::core::{
    Algorithm, AlgorithmSet, Diagnostics, Family, KeySet, Provenance, Reason, Rejection,
    Requirements, Segment, TokenLimits, UnverifiedToken,
};
use keystead::{Config, ProviderConfig, VerifiedToken, Verifier};

/// How many bytes one line may have: a case about size is large itself.
const MAX_LINE: u64 = 16 * 1024 * 1024;
/// How many keys a set may hold, as for one that is fetched.
const MAX_KEYS: usize = 256;

/// One case: a token, what it is judged by, and what is expected of the judge.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// Its name.
    pub id: String,
    /// How much weight it has.
    pub tier: Tier,
    /// The verdict it expects.
    pub expected: Decision,
    /// The class of reasons it expects; `ok` for a token to accept.
    pub class: String,
    token: String,
    now: Duration,
    typ: Option<String>,
    providers: Vec<Provider>,
}

/// One provider of a case.
#[derive(Clone, Debug)]
struct Provider {
    issuer: String,
    audience: Vec<String>,
    algorithms: AlgorithmSet,
    leeway: Duration,
    keys: Arc<KeySet>,
}

/// How much weight a case has.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Tier {
    /// A demand of an RFC, or of safety.
    Must,
    /// Best practice.
    Should,
    /// A choice that an option may overrule.
    Policy,
    /// Only where the algorithm is supported.
    Optional,
}

/// What becomes of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Decision {
    /// It is accepted.
    Accept,
    /// It is refused, or cannot be judged.
    Reject,
}

/// Why a vector file cannot be run.
#[derive(Debug)]
#[non_exhaustive]
pub struct VectorError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; none: the file as a whole.
    pub line: Option<usize>,
    /// What is wrong, in one sentence.
    pub problem: String,
}

/// The cases of a vector file, one at a time, in the order in which they are written.
///
/// Blank lines are passed over. After an error the next line is read as usual.
///
/// # Errors
/// When the file cannot be opened.
pub fn read(path: &Path) -> Result<Cases, VectorError> {
    let unreadable = |error: std::io::Error| VectorError {
        path: path.to_owned(),
        line: None,
        problem: format!("the file cannot be read: {error}"),
    };
    let file = File::open(path).map_err(unreadable)?;
    Ok(Cases { path: path.to_owned(), reader: BufReader::new(file), line: 0, ended: false })
}

/// Iterates over a vector file; see [`read`].
#[derive(Debug)]
pub struct Cases {
    path: PathBuf,
    reader: BufReader<File>,
    line: usize,
    ended: bool,
}

impl Iterator for Cases {
    type Item = Result<Case, VectorError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            self.line += 1;
            let mut bytes = Vec::new();
            let read = self.reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes);
            let case = match read {
                Ok(0) => return None,
                Ok(_) if bytes.iter().all(u8::is_ascii_whitespace) => continue,
                Ok(_) if bytes.len() as u64 > MAX_LINE => {
                    // Where the next line begins is not known.
                    self.ended = true;
                    Err("the line is longer than 16 MiB".to_owned())
                }
                Ok(_) => Case::parse(&bytes),
                Err(error) => {
                    self.ended = true;
                    Err(format!("the file cannot be read: {error}"))
                }
            };
            return Some(case.map_err(|problem| VectorError {
                path: self.path.clone(),
                line: Some(self.line),
                problem,
            }));
        }
        None
    }
}

impl Case {
    fn parse(line: &[u8]) -> Result<Self, String> {
        // A set of the case may break any rule of tokens; the line around it must be JSON.
        let mut limits = Limits::DOCUMENT;
        (limits.depth, limits.members, limits.number) = (128, usize::MAX, usize::MAX);
        let case = json::parse(line, limits).map_err(|error| format!("the line is {error}"))?;
        let input = member(case, "input")?;
        let seconds = |name| {
            let value = member(input, name)?.as_f64();
            let whole = value.and_then(|value| Duration::try_from_secs_f64(value).ok());
            whole.ok_or_else(|| format!("{name} is not a number of seconds"))
        };
        let leeway = seconds("leeway")?;
        let providers = match input.member("providers") {
            Some(providers) => elements(providers, "providers")?
                .map(|provider| Provider::parse(provider, leeway))
                .collect::<Result<_, _>>()?,
            None => vec![Provider::parse(input, leeway)?],
        };
        Ok(Self {
            id: string(case, "id")?,
            tier: Tier::parse(&string(case, "tier")?)?,
            expected: Decision::parse(&string(case, "expected")?)?,
            class: string(case, "reason")?,
            token: string(input, "token")?,
            now: seconds("now")?,
            typ: match input.member("options").and_then(|options| options.member("typ")) {
                Some(typ) => Some(typ.as_str().ok_or("typ is not a string")?.into_owned()),
                None => None,
            },
            providers,
        })
    }

    /// A verifier that knows what this case says, and nothing else.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        let providers = self.providers.iter().enumerate().map(|(at, provider)| {
            let mut config = ProviderConfig::new(format!("p{at}"), &provider.issuer)
                .audiences(&provider.audience)
                .leeway(provider.leeway)
                .key_source(Arc::new(Arc::clone(&provider.keys)));
            // A list without a single name that is known allows nothing, and is no mistake here.
            config.policy.algorithms = provider.algorithms;
            config
        });
        Verifier::from_config(Config::of(providers))
    }

    /// The verdict of a verifier that was made for this case.
    ///
    /// # Errors
    /// The first reason to refuse the token.
    pub fn judge(&self, verifier: &Verifier) -> Result<VerifiedToken, Rejection> {
        verifier.verify_at(&self.token, self.now, &self.requirements())
    }

    /// The explanation of a verifier that was made for this case.
    #[must_use]
    pub fn explain(&self, verifier: &Verifier) -> Diagnostics {
        verifier.explain_at(&self.token, self.now, &self.requirements())
    }

    /// Whether the class of a refusal is the expected one, or counts as it.
    #[must_use]
    pub fn expects_class_of(&self, refused: &Rejection) -> bool {
        let found = refused.reason().class();
        let either = |a, b| [(a, b), (b, a)].contains(&(self.class.as_str(), found));
        self.class == found
            || either("malformed", "too_large")
            || either("unknown_key", "key_mismatch")
            || either("unknown_key", "weak_key")
            || either("key_mismatch", "weak_key")
            || either("bad_issuer", "unknown_issuer")
            || either("malformed_claim", "bad_issuer")
            || either("malformed_claim", "bad_audience")
            || (either("bad_signature", "weak_key") && self.is_hmac())
            || (either("malformed", "unsupported_crit") && self.changes_payload())
            || (either("unknown_key", "keys_unavailable")
                && matches!(refused.reason(), Reason::NoKeysYet { .. }))
            // A payload that is no object may be named whatever else is wrong.
            || matches!(refused.reason(), Reason::Json { segment: Segment::Payload, .. })
    }

    fn requirements(&self) -> Requirements {
        let requirements = Requirements::new();
        match &self.typ {
            Some(typ) => requirements.typ([typ]),
            None => requirements,
        }
    }

    fn is_hmac(&self) -> bool {
        let alone = self.header_alone();
        let token = UnverifiedToken::parse(&alone, TokenLimits::default());
        let algorithm = token.ok().and_then(|token| Algorithm::from_name(&token.header().alg()));
        algorithm.is_some_and(|found| matches!(found.family(), Family::Hmac { .. }))
    }

    /// Whether the header asks for another payload encoding or for compression.
    fn changes_payload(&self) -> bool {
        let alone = self.header_alone();
        let token = UnverifiedToken::parse(&alone, TokenLimits::default());
        let names = token.map(|token| token.header().unsupported()).unwrap_or_default();
        names.iter().any(|name| name == "b64" || name == "zip")
    }

    /// A token with the same header, to read it whatever stands after it.
    fn header_alone(&self) -> String {
        format!("{}.e30.", self.token.split('.').next().unwrap_or_default())
    }
}

impl Provider {
    fn parse(written: Value<'_>, leeway: Duration) -> Result<Self, String> {
        let names = strings(written, "algorithms")?;
        let jwks = member(written, "jwks")?.text().as_bytes();
        Ok(Self {
            issuer: string(written, "issuer")?,
            audience: strings(written, "audience")?,
            algorithms: names.iter().filter_map(|name| Algorithm::from_name(name)).collect(),
            leeway,
            // What is no set at all leaves a provider without keys.
            keys: Arc::new(KeySet::parse(jwks, Provenance::Operator, MAX_KEYS).unwrap_or_default()),
        })
    }
}

impl Tier {
    /// Every tier, the weightiest first.
    pub const ALL: [Self; 4] = [Self::Must, Self::Should, Self::Policy, Self::Optional];

    /// The tier in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::Policy => "policy",
            Self::Optional => "optional",
        }
    }

    fn parse(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|tier| tier.as_str() == word);
        found.ok_or_else(|| format!("{} is no tier", quoted(word)))
    }
}

impl Decision {
    /// `accept` or `reject`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
        }
    }

    /// What a verdict amounts to.
    #[must_use]
    pub const fn of<T, E>(verdict: &Result<T, E>) -> Self {
        match verdict {
            Ok(_) => Self::Accept,
            Err(_) => Self::Reject,
        }
    }

    fn parse(word: &str) -> Result<Self, String> {
        match word {
            "accept" => Ok(Self::Accept),
            "reject" => Ok(Self::Reject),
            _ => Err(format!("expected is {}, not accept or reject", quoted(word))),
        }
    }
}

impl fmt::Display for VectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.path.to_string_lossy()))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for VectorError {}

fn member<'a>(object: Value<'a>, name: &str) -> Result<Value<'a>, String> {
    object.member(name).ok_or_else(|| format!("the member {name} is missing"))
}

fn string(object: Value<'_>, name: &str) -> Result<String, String> {
    let text = member(object, name)?.as_str();
    text.map(Into::into).ok_or_else(|| format!("{name} is not a string"))
}

fn elements<'a>(
    array: Value<'a>,
    name: &str,
) -> Result<impl Iterator<Item = Value<'a>> + use<'a>, String> {
    array.elements().ok_or_else(|| format!("{name} is not an array"))
}

fn strings(object: Value<'_>, name: &str) -> Result<Vec<String>, String> {
    let strings = elements(member(object, name)?, name)?.map(Value::as_str);
    let strings = strings.map(|text| text.map(Into::into));
    strings.collect::<Option<_>>().ok_or_else(|| format!("{name} is not an array of strings"))
}
