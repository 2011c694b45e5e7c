//! Providers that are of no use.

use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpSocket;

use crate::Result;

/// Where providers would be that do not answer.
#[derive(Debug)]
pub(crate) struct Neighbours {
    dead: SocketAddr,
    blackholed: SocketAddr,
    /// Bound and not listening, so that the port stays closed and nobody else gets it.
    _closed: TcpSocket,
    /// Listening and never accepting: the kernel takes connections, and nobody reads from them.
    _silent: TcpListener,
}

/// Of which kind a provider is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// It accepts connections and never answers.
    Blackholed,
    /// It refuses connections.
    Dead,
}

impl Neighbours {
    pub(crate) fn new() -> Result<Self> {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let (closed, silent) = (TcpSocket::new_v4()?, TcpListener::bind(anywhere)?);
        closed.bind(anywhere)?;
        let (dead, blackholed) = (closed.local_addr()?, silent.local_addr()?);
        Ok(Self { dead, blackholed, _closed: closed, _silent: silent })
    }

    /// The issuer of the provider with this number. Its keys are looked for where it says.
    pub(crate) fn issuer(&self, kind: Kind, number: usize) -> String {
        let address = match kind {
            Kind::Blackholed => self.blackholed,
            Kind::Dead => self.dead,
        };
        format!("http://{address}/realms/{number}")
    }
}

impl Kind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Blackholed => "blackholed",
            Self::Dead => "dead",
        }
    }
}
