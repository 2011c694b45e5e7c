//! What a provider is told to do wrong, about what, and for how long: one definition for the handle,
//! the control endpoint and scripts.

use std::time::Duration;

use keystead::core::text::quoted;
use serde_json::{Map, Value};

use super::canned::CannedAnswer;
use super::catalogue::Fault;
use crate::idp::error::IdpError;
use crate::idp::mint_request::{object, string, unknown, wrong};

/// The longest time that an order can be for: a year.
const MAX_TIME: Duration = Duration::from_secs(365 * 86_400);

/// One order to misbehave: what, about which documents of which realm, and for how long.
///
/// ```
/// use keystead_testkit::idp::{Documents, Fault, Idp, IdpConfig, Order};
///
/// let idp = Idp::start(IdpConfig::new().realm("akko"))?;
/// idp.fault(Fault::Html)?;
/// idp.fault(Order::new(Fault::Status503).documents(Documents::Jwks).requests(2))?;
/// idp.heal()?;
/// # Ok::<(), keystead_testkit::idp::IdpError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Order {
    /// What it does.
    pub act: Act,
    /// About what. Default: what the fault can be about.
    pub documents: Option<Documents>,
    /// Of which realm. Default: of every realm.
    pub realm: Option<String>,
    /// For how long. Default: until it is healed.
    pub extent: Extent,
    /// The fault's number, where it takes one. Default: the catalogue's.
    pub amount: Option<u64>,
}

/// What a provider does.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Act {
    /// Nothing wrong: a pause in a script.
    Healthy,
    /// A fault of the catalogue.
    Fault(Fault),
    /// An answer that was written down beforehand.
    Answer(CannedAnswer),
}

/// What an order is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Documents {
    /// The provider metadata, under any well-known path that the realm serves.
    Discovery,
    /// The JWK Set.
    Jwks,
    /// Both, counted together.
    Both,
}

/// For how long an order is in force.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Extent {
    /// Until it is healed, or replaced.
    #[default]
    UntilHealed,
    /// For this many requests that it is about (connections, for a fault of connections).
    Requests(u64),
    /// For this long, by the provider's clock.
    For(Duration),
}

impl Order {
    /// This fault, until it is healed.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self::of(Act::Fault(fault))
    }

    /// This answer, until it is healed.
    #[must_use]
    pub const fn answer(answer: CannedAnswer) -> Self {
        Self::of(Act::Answer(answer))
    }

    /// Nothing wrong.
    #[must_use]
    pub const fn healthy() -> Self {
        Self::of(Act::Healthy)
    }

    /// Is about these documents.
    #[must_use]
    pub const fn documents(mut self, documents: Documents) -> Self {
        self.documents = Some(documents);
        self
    }

    /// Is about this realm.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Is in force for this many requests.
    #[must_use]
    pub const fn requests(mut self, requests: u64) -> Self {
        self.extent = Extent::Requests(requests);
        self
    }

    /// Is in force for this long, by the provider's clock.
    #[must_use]
    pub const fn lasting(mut self, time: Duration) -> Self {
        self.extent = Extent::For(time);
        self
    }

    /// Has this number; [`Fault::amount`] says what it means.
    #[must_use]
    pub const fn amount(mut self, amount: u64) -> Self {
        self.amount = Some(amount);
        self
    }

    const fn of(act: Act) -> Self {
        Self { act, documents: None, realm: None, extent: Extent::UntilHealed, amount: None }
    }

    /// What it is about in the end; none for a fault of connections.
    pub(super) fn about(&self) -> Option<Documents> {
        let own = match &self.act {
            Act::Fault(fault) => fault.documents()?,
            Act::Healthy | Act::Answer(_) => Documents::Both,
        };
        Some(self.documents.unwrap_or(own))
    }

    /// Whether this provider can do it.
    pub(in crate::idp) fn check(&self, over_tls: bool) -> Result<(), IdpError> {
        match self.problem(over_tls) {
            Some(problem) => Err(IdpError::Order(problem)),
            None => match &self.act {
                Act::Answer(answer) => answer.response().map(drop),
                Act::Healthy | Act::Fault(_) => Ok(()),
            },
        }
    }

    fn problem(&self, over_tls: bool) -> Option<String> {
        match self.extent {
            Extent::Requests(0) => return Some("an order for 0 requests does nothing".to_owned()),
            Extent::For(time) if time.is_zero() || time > MAX_TIME => {
                return Some("an order is for more than no time and at most 365 days".to_owned());
            }
            Extent::UntilHealed | Extent::Requests(_) | Extent::For(_) => {}
        }
        let Act::Fault(fault) = self.act else {
            return self.amount.map(|_| "only faults of the catalogue have an amount".to_owned());
        };
        if fault.needs_tls() && !over_tls {
            return Some(format!("{fault} needs a provider that serves over TLS"));
        }
        if fault == Fault::Down && matches!(self.extent, Extent::Requests(_)) {
            return Some("down is for a time: a closed port cannot count requests".to_owned());
        }
        self.misplaced(fault).or_else(|| self.misnumbered(fault))
    }

    /// Why the fault cannot be about that.
    fn misplaced(&self, fault: Fault) -> Option<String> {
        let Some(own) = fault.documents() else {
            let named = self.documents.is_some() || self.realm.is_some();
            return named.then(|| {
                format!("{fault} is about connections: it has neither a document nor a realm")
            });
        };
        let asked = self.documents.unwrap_or(own);
        (own != Documents::Both && asked != own)
            .then(|| format!("{fault} is about {} only", own.name()))
    }

    /// Why the fault cannot have that number.
    fn misnumbered(&self, fault: Fault) -> Option<String> {
        let asked = self.amount?;
        let Some(amount) = fault.amount() else { return Some(format!("{fault} has no amount")) };
        let (least, most) = (amount.range.start(), amount.range.end());
        (!amount.range.contains(&asked)).then(|| {
            format!("the amount of {fault} ({}) is from {least} to {most}", amount.meaning)
        })
    }

    /// The JSON form: `fault` (a name, or `none`) or `answer`, and as far as told `document`,
    /// `realm`, `requests`, `for`, `amount`.
    pub(in crate::idp) fn to_json(&self) -> Value {
        let mut written = Map::new();
        let mut put = |name: &str, value: Value| written.insert(name.to_owned(), value);
        match &self.act {
            Act::Healthy => put("fault", HEALTHY.into()),
            Act::Fault(fault) => put("fault", fault.name().into()),
            Act::Answer(answer) => put("answer", answer.to_json()),
        };
        if let Some(documents) = self.documents {
            put("document", documents.name().into());
        }
        if let Some(realm) = &self.realm {
            put("realm", realm.clone().into());
        }
        match self.extent {
            Extent::UntilHealed => {}
            Extent::Requests(requests) => {
                put("requests", requests.into());
            }
            Extent::For(time) => {
                put("for", humantime::format_duration(time).to_string().into());
            }
        }
        if let Some(amount) = self.amount {
            put("amount", amount.into());
        }
        written.into()
    }

    /// Reads the JSON form.
    pub(in crate::idp) fn from_json(written: &Map<String, Value>) -> Result<Self, IdpError> {
        let mut act = None;
        let mut order = Self::healthy();
        for (name, value) in written {
            match name.as_str() {
                "fault" | "answer" if act.is_some() => return Err(needs_one_act()),
                "fault" => act = Some(named(&string(name, value)?)?),
                "answer" => {
                    act = Some(Act::Answer(CannedAnswer::from_json(&object(name, value)?)?));
                }
                "document" => order.documents = Some(documents(name, value)?),
                "realm" => order.realm = Some(string(name, value)?),
                "requests" | "for" if order.extent != Extent::UntilHealed => {
                    let problem = "an order is for requests or for a time, not for both";
                    return Err(IdpError::Order(problem.to_owned()));
                }
                "requests" => order.extent = Extent::Requests(number(name, value)?),
                "for" => order.extent = Extent::For(time(name, value)?),
                "amount" => order.amount = Some(number(name, value)?),
                _ => return Err(unknown(name, KNOWN)),
            }
        }
        order.act = act.ok_or_else(needs_one_act)?;
        Ok(order)
    }
}

impl From<Fault> for Order {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}

impl Documents {
    /// The word for it: `discovery`, `jwks` or `both`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
            Self::Both => "both",
        }
    }

    /// What the word means.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Discovery, Self::Jwks, Self::Both].into_iter().find(|known| known.name() == name)
    }

    /// Whether a request could be for one of these and for one of those.
    pub(super) fn meet(self, other: Self) -> bool {
        self == other || self == Self::Both || other == Self::Both
    }
}

/// The name of no fault.
const HEALTHY: &str = "none";

const KNOWN: &str = "fault, answer, document, realm, requests, for, amount";

fn needs_one_act() -> IdpError {
    IdpError::Order("an order has a \"fault\" or an \"answer\"".to_owned())
}

fn named(name: &str) -> Result<Act, IdpError> {
    if name == HEALTHY {
        return Ok(Act::Healthy);
    }
    let fault = Fault::from_name(name).map(Act::Fault);
    fault.ok_or_else(|| IdpError::UnknownFault(name.to_owned()))
}

fn documents(name: &str, value: &Value) -> Result<Documents, IdpError> {
    let documents = value.as_str().and_then(Documents::from_name);
    documents.ok_or_else(|| wrong(name, "\"discovery\", \"jwks\" or \"both\""))
}

fn number(name: &str, value: &Value) -> Result<u64, IdpError> {
    value.as_u64().ok_or_else(|| wrong(name, "a whole number"))
}

/// A number of seconds, or a text like `1m 30s`.
fn time(name: &str, value: &Value) -> Result<Duration, IdpError> {
    if let Some(seconds) = value.as_u64() {
        return Ok(Duration::from_secs(seconds));
    }
    let text = value.as_str().ok_or_else(|| wrong(name, "a time such as \"30s\""))?;
    humantime::parse_duration(text).map_err(|error| {
        IdpError::Order(format!("{} is not a time such as \"30s\": {error}", quoted(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(written: &Value) -> Result<Order, IdpError> {
        Order::from_json(written.as_object().unwrap())
    }

    #[test]
    fn an_order_survives_the_wire() {
        for order in [
            Order::new(Fault::Html),
            Order::healthy().requests(2),
            Order::new(Fault::Oversized).documents(Documents::Jwks).realm("a").amount(7),
            Order::new(Fault::Down).lasting(Duration::from_millis(90_500)),
            Order::answer(CannedAnswer::json("{}")).documents(Documents::Discovery).requests(1),
        ] {
            assert_eq!(read(&order.to_json()).unwrap(), order);
            order.check(false).unwrap();
        }
        let seconds = read(&json!({"fault": "down", "for": 30})).unwrap();
        assert_eq!(seconds, Order::new(Fault::Down).lasting(Duration::from_secs(30)));
    }

    #[test]
    fn every_fault_can_be_ordered_and_those_of_tls_only_over_tls() {
        for fault in Fault::ALL {
            let order = Order::new(*fault);
            order.check(true).unwrap();
            assert_eq!(order.check(false).is_err(), fault.needs_tls(), "{fault}");
        }
    }

    #[test]
    fn an_order_that_makes_no_sense_says_why() {
        for (written, said) in [
            (json!({}), "an order has a \"fault\" or an \"answer\""),
            (json!({"fault": "html", "answer": {}}), "an order has a \"fault\" or an \"answer\""),
            (json!({"fault": "htlm"}), "there is no fault \"htlm\""),
            (json!({"fault": "html", "times": 1}), "unknown member \"times\"; known are fault, "),
            (json!({"fault": "html", "document": "keys"}), "\"document\" must be \"discovery\", "),
            (json!({"fault": "html", "requests": -1}), "\"requests\" must be a whole number"),
            (json!({"fault": "html", "requests": 0}), "an order for 0 requests does nothing"),
            (json!({"fault": "html", "for": "soon"}), "\"soon\" is not a time such as \"30s\""),
            (json!({"fault": "html", "for": "0s"}), "an order is for more than no time"),
            (json!({"fault": "html", "for": "1s", "requests": 1}), "an order is for requests or "),
            (json!({"fault": "html", "amount": 1}), "html has no amount"),
            (json!({"fault": "none", "amount": 1}), "only faults of the catalogue have an amount"),
            (
                json!({"fault": "many_keys", "amount": 0}),
                "the amount of many_keys (keys in the set)",
            ),
            (json!({"fault": "empty_set", "document": "both"}), "empty_set is about jwks only"),
            (json!({"fault": "down", "requests": 1}), "down is for a time"),
            (json!({"fault": "down", "realm": "a"}), "down is about connections"),
            (json!({"fault": "tls_expired"}), "tls_expired needs a provider that serves over TLS"),
        ] {
            let ordered = read(&written).and_then(|order| order.check(false));
            let error = ordered.unwrap_err().to_string();
            assert!(error.starts_with(said), "{written}: {error}");
        }
    }
}
