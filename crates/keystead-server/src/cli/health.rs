//! `keystead health`: asks a running server how it is, for images that have no shell.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use keystead::config::AdminListen;
use keystead::core::text::escaped;

use super::config::ConfigArgs;
use super::console::Console;
use super::{Exit, Failure};

/// How long connecting, sending and each part of the answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How much of an answer is read: the status line and a body that explains it.
const MAX_READ: u64 = 16 * 1024;

/// Ask a running server whether it lives, or with --ready whether it can verify
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Ask /readyz instead of /livez
    #[arg(long)]
    ready: bool,
    /// Ask here instead of at the configured admin listener
    #[arg(long, visible_alias = "url", value_name = "HOST:PORT|unix:PATH")]
    address: Option<String>,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let place = match &args.address {
        Some(address) => Place::parse(address)?,
        None => match args.config.load()?.server.admin_listen {
            AdminListen::Tcp(address) => Place::Tcp(address.to_string()),
            AdminListen::Unix(path) => Place::Unix(path),
            _ => return Err(Failure::usage("name the listener with --address")),
        },
    };
    let path = if args.ready { "/readyz" } else { "/livez" };
    let shown = format!("{}{path}", place.shown());
    match place.ask(path) {
        Ok(Answer { status: 200, .. }) => {
            console.data(format!("{shown}: 200\n"))?;
            Ok(Exit::Yes)
        }
        Ok(Answer { status, body }) => {
            console.error(format_args!("{shown}: {status} {}", escaped(body.trim())));
            Ok(Exit::No)
        }
        Err(error) => {
            console.error(format_args!("{shown}: {error}"));
            Ok(Exit::No)
        }
    }
}

/// Where a server listens.
#[derive(Debug)]
enum Place {
    Tcp(String),
    Unix(PathBuf),
}

struct Answer {
    status: u16,
    body: String,
}

impl Place {
    fn parse(address: &str) -> Result<Self, Failure> {
        if let Some(path) = address.strip_prefix("unix:") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        if address.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(address)));
        }
        let host = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
        if host.contains('/') || !host.contains(':') {
            return Err(Failure::usage(format!(
                "{} is not HOST:PORT, http://HOST:PORT or unix:/PATH",
                escaped(address)
            )));
        }
        Ok(Self::Tcp(host.to_owned()))
    }

    fn shown(&self) -> String {
        match self {
            Self::Tcp(host) => format!("http://{}", escaped(host)),
            Self::Unix(path) => format!("unix:{}:", escaped(&path.to_string_lossy())),
        }
    }

    fn ask(&self, path: &str) -> io::Result<Answer> {
        match self {
            Self::Tcp(host) => {
                let stream = connect(host)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                exchange(stream, host, path)
            }
            Self::Unix(socket) => {
                let stream = UnixStream::connect(socket)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                exchange(stream, "localhost", path)
            }
        }
    }
}

fn connect(host: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&reachable(address), TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// "Every address" is where a server listens, not where it is asked.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// One request of HTTP/1.1 (RFC 9112) on a connection that ends with its answer.
fn exchange(mut stream: impl Read + Write, host: &str, path: &str) -> io::Result<Answer> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: keystead-health\r\n\
         Connection: close\r\n\r\n"
    )?;
    let mut bytes = Vec::new();
    // What came before a time-out may be the whole answer of a server that keeps connections.
    let ended = stream.take(MAX_READ).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let Some(status) = status_of(&text) else {
        ended?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP/1.1"));
    };
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(Answer { status, body: body.to_owned() })
}

fn status_of(answer: &str) -> Option<u16> {
    let (version, rest) = answer.lines().next()?.split_once(' ')?;
    let code = rest.split(' ').next()?;
    (version.starts_with("HTTP/1.") && code.len() == 3).then(|| code.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_asked_at_loopback() {
        let asked = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(asked("[::]:8080"), "[::1]:8080");
        assert_eq!(asked("10.0.0.1:8080"), "10.0.0.1:8080");
    }

    #[test]
    fn places_are_written_in_several_ways() {
        let parsed = |address: &str| Place::parse(address).map(|place| place.shown());
        assert_eq!(parsed("localhost:8081").unwrap(), "http://localhost:8081");
        assert_eq!(parsed("http://[::1]:8081/").unwrap(), "http://[::1]:8081");
        assert_eq!(parsed("unix:/run/k.sock").unwrap(), "unix:/run/k.sock:");
        assert_eq!(parsed("/run/k.sock").unwrap(), "unix:/run/k.sock:");
        for wrong in ["localhost", "https://localhost:1", "http://localhost:1/livez", ""] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_status_line_is_an_answer() {
        assert_eq!(status_of("HTTP/1.1 503 Service Unavailable\r\n\r\n"), Some(503));
        assert_eq!(status_of("HTTP/1.1 200\r\n"), Some(200));
        assert_eq!(status_of("SSH-2.0-OpenSSH 200 x"), None);
        assert_eq!(status_of(""), None);
    }
}
