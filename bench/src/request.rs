//! One request after another over one connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Result;

/// What lets a request pass, or refuses it.
pub(crate) const FORWARD_AUTH: &str = "/v1/auth/forward";

/// What answers with the claims.
pub(crate) const VERIFY: &str = "/v1/verify";

const GIVE_UP: Duration = Duration::from_secs(30);

/// A connection that is kept open.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<TcpStream>);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(GIVE_UP))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks whether this token passes: the status of the answer, and how long it took.
    pub(crate) fn ask(&mut self, token: &str) -> Result<(u16, Duration)> {
        let since = Instant::now();
        let answer = self.get(FORWARD_AUTH, Some(token))?;
        Ok((answer.status, since.elapsed()))
    }

    pub(crate) fn get(&mut self, path: &str, token: Option<&str>) -> Result<Answer> {
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n");
        if let Some(token) = token {
            head.extend(["Authorization: Bearer ", token, "\r\n"]);
        }
        head.push_str("\r\n");
        self.0.get_mut().write_all(head.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).unwrap_or_default().parse()?;
        let mut length = 0;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Answer { status, body: String::from_utf8(body)? })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err("the server closed the connection".into());
        }
        Ok(line.trim_end().to_owned())
    }
}
