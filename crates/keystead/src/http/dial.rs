//! From a peer to an open TCP connection.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use url::{Host, Url};

use super::error::{FetchCode, FetchError, Stage};
use super::joined::Joined;
use super::peer::{Peer, Role, no_host};

/// Looks names up, one lookup per name and 64 in all at a time.
pub(super) struct Lookups {
    system: Arc<Lookup>,
    jobs: Joined<Result<Vec<IpAddr>, String>>,
}

/// A blocking name lookup.
pub(super) type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// How many lookups may run at once: each keeps a thread until the system's resolver gives up.
const LOOKUPS: usize = 64;

/// How long one address may take before the next is tried beside it (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// How many addresses of one name are tried.
const TRIED: usize = 16;

impl Lookups {
    /// Lookups by the operating system's resolver.
    pub(super) fn by_system() -> Self {
        Self::by(Arc::new(|host: &str| {
            // The port does not matter to the lookup.
            Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
        }))
    }

    /// Lookups by `system`.
    pub(super) fn by(system: Arc<Lookup>) -> Self {
        Self { system, jobs: Joined::new(LOOKUPS) }
    }

    /// The addresses of the peer. One that is written as an address is never looked up.
    pub(super) async fn resolve(
        &self,
        url: &Url,
        peer: &Peer<'_>,
    ) -> Result<Vec<IpAddr>, FetchError> {
        let name = match peer.host {
            Host::Ipv4(address) => return Ok(vec![IpAddr::V4(address)]),
            Host::Ipv6(address) => return Ok(vec![IpAddr::V6(address)]),
            Host::Domain(name) => name,
        };
        let failed = |why: &dyn fmt::Display| {
            let what = if peer.proxy().is_some() { "" } else { "name " };
            let detail = format!("{what}{peer} could not be looked up ({why})");
            peer.failed(url, Stage::Resolve, FetchCode::Resolve, detail)
        };
        let system = Arc::clone(&self.system);
        let asked = name.to_owned();
        let answer =
            self.jobs.run(name, move || system(&asked).map_err(|error| error.to_string())).await;
        match answer {
            Some(Ok(addresses)) if addresses.is_empty() => Err(failed(&"no address")),
            Some(Ok(addresses)) => Ok(addresses),
            Some(Err(error)) => Err(failed(&error)),
            None => Err(failed(&"the lookup was broken off")),
        }
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

/// Connects to the first of the peer's addresses that answers.
pub(super) async fn connect(
    url: &Url,
    peer: &Peer<'_>,
    addresses: Vec<IpAddr>,
) -> Result<TcpStream, FetchError> {
    let port = peer.port;
    let mut waiting =
        by_turns(addresses).into_iter().take(TRIED).map(|ip| SocketAddr::new(ip, port));
    let mut attempts = JoinSet::new();
    let mut first_failure = None;
    loop {
        let next = waiting.next();
        let more = next.is_some();
        if let Some(address) = next {
            attempts.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let ended = tokio::select! {
            ended = attempts.join_next() => ended,
            () = sleep(HEAD_START), if more => continue,
        };
        match ended {
            Some(Ok((_, Ok(stream)))) => return Ok(stream),
            Some(Ok((address, Err(error)))) => {
                first_failure.get_or_insert_with(|| not_connected(url, peer, address, &error));
            }
            // An attempt is never aborted and does not panic.
            Some(Err(_)) => {}
            None => return Err(first_failure.unwrap_or_else(|| no_host(url))),
        }
    }
}

/// The addresses in the system's order, but the two families by turns (RFC 8305 section 4): a
/// network without the one cannot keep the other waiting.
fn by_turns(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut these, mut those): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut turns = Vec::with_capacity(these.len() + those.len());
    while let Some(address) = these.pop_front() {
        turns.push(address);
        if !those.is_empty() {
            std::mem::swap(&mut these, &mut those);
        }
    }
    turns
}

fn not_connected(url: &Url, peer: &Peer<'_>, address: SocketAddr, error: &io::Error) -> FetchError {
    let detail = match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {address}"),
        io::ErrorKind::TimedOut => format!("no answer from {address}"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("no route to {address}")
        }
        _ => format!("no connection to {address} ({error})"),
    };
    let detail = match peer.role {
        Role::Target => detail,
        Role::StandIn(_) | Role::Proxy(_) => format!("{detail}, which is {peer}"),
    };
    peer.failed(url, Stage::Connect, FetchCode::Connect, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{FetchRules, Proxies};

    fn addresses(all: &[&str]) -> Vec<IpAddr> {
        all.iter().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let mixed = addresses(&["::1", "::2", "::3", "10.0.0.1", "10.0.0.2"]);
        assert_eq!(by_turns(mixed), addresses(&["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]));
        let v4 = addresses(&["10.0.0.2", "10.0.0.1"]);
        assert_eq!(by_turns(v4.clone()), v4);
        assert_eq!(by_turns(Vec::new()), Vec::<IpAddr>::new());
    }

    async fn resolved(lookups: &Lookups, url: &str) -> Result<Vec<IpAddr>, FetchError> {
        let (url, rules) = (Url::parse(url).unwrap(), FetchRules::default());
        lookups.resolve(&url, &Peer::of(&url, &rules)?).await
    }

    #[tokio::test]
    async fn an_address_is_never_looked_up() {
        let lookups = Lookups::by(Arc::new(|host: &str| panic!("{host} was looked up")));
        for (text, address) in [("https://127.0.0.1/", "127.0.0.1"), ("https://[::1]/", "::1")] {
            let found = resolved(&lookups, text).await.unwrap();
            assert_eq!(found, addresses(&[address]));
        }
    }

    #[tokio::test]
    async fn a_failed_lookup_of_a_proxy_is_a_failed_connection() {
        let lookups = Lookups::by(Arc::new(|_: &str| Err(io::Error::other("unknown"))));
        let url = Url::parse("https://idp.example/").unwrap();
        let proxies = Proxies::through("me:hunter2@squid:3128").unwrap();
        let rules = FetchRules { proxies, ..FetchRules::default() };
        let error = lookups.resolve(&url, &Peer::of(&url, &rules).unwrap()).await.unwrap_err();
        assert_eq!((error.stage, error.code), (Stage::Connect, FetchCode::Connect));
        assert_eq!(error.detail, "the proxy \"squid:3128\" could not be looked up (unknown)");
    }

    #[tokio::test]
    async fn a_failed_lookup_names_the_name() {
        for (lookups, why) in [
            (Lookups::by(Arc::new(|_: &str| Err(io::Error::other("unknown")))), "unknown"),
            (Lookups::by(Arc::new(|_: &str| Ok(Vec::new()))), "no address"),
            (Lookups::by(Arc::new(|_: &str| panic!("as intended"))), "the lookup was broken off"),
        ] {
            let error = resolved(&lookups, "https://tunnel.invalid/").await.unwrap_err();
            assert_eq!((error.stage, error.code), (Stage::Resolve, FetchCode::Resolve));
            let detail = format!("name \"tunnel.invalid\" could not be looked up ({why})");
            assert_eq!(error.detail, detail);
        }
    }
}
