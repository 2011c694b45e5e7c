//! The other side of the control endpoint: plain blocking calls.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fault::Order;
use super::mint_request::MintRequest;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an answer may take; an RSA key takes a second on a slow machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes an answer may have.
const MAX_ANSWER: u64 = 1024 * 1024;

/// Tells a provider in another process what to do, through its control endpoint.
#[derive(Clone, Copy, Debug)]
pub struct ControlClient {
    addr: SocketAddr,
}

/// Why a provider in another process did not do what it was told.
#[derive(Debug)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody answers there.
    Unreachable {
        /// Where.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody answers, but not a control endpoint.
    NotControl {
        /// Where.
        addr: SocketAddr,
    },
    /// The provider refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error in one word.
        error: String,
        /// The error in one sentence.
        description: String,
    },
}

impl ControlClient {
    /// A client of the control endpoint at this address.
    #[must_use]
    pub const fn new(addr: SocketAddr) -> Self {
        Self { addr }
    }

    /// A token.
    ///
    /// # Errors
    /// Any [`ControlError`].
    pub fn mint(&self, request: &MintRequest) -> Result<String, ControlError> {
        self.string("/mint", &request.to_json(), "token")
    }

    /// Puts a new key in front and returns its kid. The realm may be left out when the provider has
    /// only one.
    ///
    /// # Errors
    /// Any [`ControlError`].
    pub fn rotate(&self, realm: Option<&str>) -> Result<String, ControlError> {
        self.string("/rotate", &with_realm(realm, Map::new()), "kid")
    }

    /// Replaces every key and returns the new one's kid. The realm may be left out when the provider
    /// has only one.
    ///
    /// # Errors
    /// Any [`ControlError`].
    pub fn recreate(&self, realm: Option<&str>) -> Result<String, ControlError> {
        self.string("/recreate", &with_realm(realm, Map::new()), "kid")
    }

    /// Misbehaves in this way: see [`Idp::fault`](super::Idp::fault).
    ///
    /// # Errors
    /// Any [`ControlError`].
    pub fn fault(&self, order: impl Into<Order>) -> Result<(), ControlError> {
        self.call("POST", "/fault", Some(&order.into().to_json())).map(drop)
    }

    /// Misbehaves in these ways: see [`Idp::script`](super::Idp::script).
    ///
    /// # Errors
    /// Any [`ControlError`].
    pub fn script(&self, orders: &[Order]) -> Result<(), ControlError> {
        let script: Vec<Value> = orders.iter().map(Order::to_json).collect();
        self.call("POST", "/faults", Some(&json!({ "script": script }))).map(drop)
    }

    /// Behaves from now on: see [`Idp::heal`](super::Idp::heal).
    ///
    /// # Errors
    /// Any [`ControlError`].
    pub fn heal(&self) -> Result<(), ControlError> {
        self.call("DELETE", "/faults", None).map(drop)
    }

    /// Takes the keys with this kid out of the JWK Set.
    ///
    /// # Errors
    /// Any [`ControlError`].
    pub fn withdraw(&self, realm: Option<&str>, kid: &str) -> Result<(), ControlError> {
        let kid = Map::from_iter([("kid".to_owned(), kid.into())]);
        self.call("POST", "/withdraw", Some(&with_realm(realm, kid))).map(drop)
    }

    /// Closes the provider's port.
    ///
    /// # Errors
    /// Any [`ControlError`].
    pub fn down(&self) -> Result<(), ControlError> {
        self.call("POST", "/down", Some(&json!({}))).map(drop)
    }

    /// Opens the provider's port again.
    ///
    /// # Errors
    /// Any [`ControlError`].
    pub fn up(&self) -> Result<(), ControlError> {
        self.call("POST", "/up", Some(&json!({}))).map(drop)
    }

    /// The provider's state: `up`, `listen`, `realms` (per name `issuer`, `discovery_url`, `jwks_url`,
    /// `keys` with `kid` and `alg`, `requests` per document and how many of them were `conditional`),
    /// `orders` that are not over, and per fault how many requests were `served` so.
    ///
    /// # Errors
    /// Any [`ControlError`].
    pub fn state(&self) -> Result<Value, ControlError> {
        self.call("GET", "/state", None)
    }

    fn string(&self, path: &str, body: &Value, member: &str) -> Result<String, ControlError> {
        let answer = self.call("POST", path, Some(body))?;
        let string = answer.get(member).and_then(Value::as_str);
        string.map(ToOwned::to_owned).ok_or(ControlError::NotControl { addr: self.addr })
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, ControlError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self
            .exchange(method, path, &body)
            .map_err(|source| ControlError::Unreachable { addr: self.addr, source })?;
        let (status, body) = split(&answer).ok_or(ControlError::NotControl { addr: self.addr })?;
        if status == 200 {
            return Ok(body);
        }
        let word = |name: &str| body.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        match (word("error"), word("error_description")) {
            (Some(error), Some(description)) => {
                Err(ControlError::Refused { status, error, description })
            }
            _ => Err(ControlError::NotControl { addr: self.addr }),
        }
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.addr, CONNECT_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.addr,
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        Ok(answer)
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { addr, source } => {
                write!(f, "no provider can be controlled at {addr}: {source}")
            }
            Self::NotControl { addr } => {
                write!(f, "what listens at {addr} is not the control endpoint of a provider")
            }
            // Presented values are quoted in it already, unless somebody else wrote it.
            Self::Refused { description, .. } => {
                f.write_str(&description.replace(char::is_control, " "))
            }
        }
    }
}

impl std::error::Error for ControlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Status and JSON body of a whole HTTP/1.1 answer. The control endpoint always sends a
/// `Content-Length` and closes, so what follows the head is the body.
fn split(answer: &[u8]) -> Option<(u16, Value)> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

fn with_realm(realm: Option<&str>, mut body: Map<String, Value>) -> Value {
    if let Some(realm) = realm {
        body.insert("realm".to_owned(), realm.into());
    }
    Value::Object(body)
}
