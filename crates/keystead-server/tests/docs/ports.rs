//! Free ports in the place of those that the documents speak of.
//!
//! The documents use the ports that the program has unless told otherwise, because that is what
//! their readers will see. Here they may be in use.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

/// The ports in the documents: two listeners of the server, a provider and its control endpoint,
/// and the same for a second provider.
const WRITTEN: [u16; 6] = [8080, 8081, 8090, 8099, 8091, 8098];

/// What was given to another document, which may not be listening yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A free port for each written one.
#[derive(Debug)]
pub(crate) struct Ports([(u16, u16); WRITTEN.len()]);

impl Ports {
    pub(crate) fn reserve() -> Self {
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        // All of them are held until the last one is found, so that they differ.
        let mut held = Vec::new();
        Self(WRITTEN.map(|written| {
            loop {
                held.push(TcpListener::bind("127.0.0.1:0").unwrap());
                let free = held.last().unwrap().local_addr().unwrap().port();
                if given.insert(free) {
                    return (written, free);
                }
            }
        }))
    }

    /// The free port for a written one.
    pub(crate) fn free(&self, written: u16) -> u16 {
        self.0.iter().find(|(known, _)| *known == written).unwrap().1
    }

    /// A text of a document as it is tried.
    pub(crate) fn to_free(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (written, free)| replace(&text, *written, *free))
    }

    /// An answer as the document has it.
    pub(crate) fn to_written(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (written, free)| replace(&text, *free, *written))
    }
}

/// Replaces a port: a number behind a colon.
fn replace(text: &str, from: u16, to: u16) -> String {
    let written = format!(":{from}");
    let mut parts = text.split(&written);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, rest| {
        let port = if rest.starts_with(|c: char| c.is_ascii_digit()) { from } else { to };
        format!("{text}:{port}{rest}")
    })
}

#[test]
fn ports_and_nothing_else_are_replaced() {
    assert_eq!(replace("http://h:8080/8080 :80801 :8080", 8080, 9), "http://h:9/8080 :80801 :9");
    let ports = Ports::reserve();
    let text = "127.0.0.1:8090 and [::1]:8081";
    assert_ne!(ports.to_free(text), text);
    assert_eq!(ports.to_written(&ports.to_free(text)), text);
}
