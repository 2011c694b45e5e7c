//! Values: durations, sizes, numbers, words, addresses; and what of a value may be shown.

use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use keystead_core::text::quoted;

use super::error::Wrong;
use super::raw::{Kind, Node};
use super::settings::nearest;

/// One text.
pub(super) fn text(node: &Node) -> Result<&str, Wrong> {
    match &node.kind {
        Kind::Text(text) => Ok(text),
        _ => Err(Wrong::new(format!("expected one text, found {}", node.kind_name()))
            .hint("write a single value")),
    }
}

/// One of a few words.
pub(super) fn word<T: Copy>(node: &Node, words: &[(&'static str, T)]) -> Result<T, Wrong> {
    let written = text(node)?.trim();
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == written) {
        return Ok(*value);
    }
    let names = || words.iter().map(|(word, _)| *word);
    let all = names().collect::<Vec<_>>().join(", ");
    let near = nearest(written, names());
    Err(Wrong::new(format!("{} is not one of {all}", shown(written)))
        .hint(near.map_or_else(|| format!("write one of {all}"), did_you_mean)))
}

/// The hint that names one word.
pub(super) fn did_you_mean(word: &str) -> String {
    format!("did you mean \"{word}\"?")
}

/// A duration; none for `forever`.
pub(super) fn duration_or_forever(node: &Node) -> Result<Option<Duration>, Wrong> {
    if text(node)?.trim() == "forever" {
        return Ok(None);
    }
    duration(node).map(Some)
}

/// A duration such as `250ms`, `30s`, `5m` or `24h`.
pub(super) fn duration(node: &Node) -> Result<Duration, Wrong> {
    let written = text(node)?.trim();
    let wrong = || {
        Wrong::new(format!("{} is not a duration", shown(written)))
            .hint("write a number and ms, s, m or h, such as 30s")
    };
    let (number, unit) = split_number(written).ok_or_else(wrong)?;
    let duration = match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    };
    // Beyond this, instants overflow; a hundred years are meant as for ever.
    duration.filter(|d| *d <= Duration::from_secs(3_155_760_000)).ok_or_else(wrong)
}

/// A number of bytes such as `512`, `16KiB` or `1MiB`.
pub(super) fn size(node: &Node, most: usize) -> Result<usize, Wrong> {
    let written = text(node)?.trim();
    let wrong = |problem: &str| {
        Wrong::new(format!("{} {problem}", shown(written)))
            .hint(format!("write a number of bytes from 1 to {most}, or a size such as 16KiB"))
    };
    let (number, unit) = split_number(written).ok_or_else(|| wrong("is not a size"))?;
    let factor = match unit {
        "" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return Err(wrong("is not a size")),
    };
    let bytes = number.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.filter(|bytes| (1..=most).contains(bytes)).ok_or_else(|| wrong("is out of range"))
}

/// A whole number from 1.
pub(super) fn count(node: &Node) -> Result<usize, Wrong> {
    let written = text(node)?.trim();
    split_number(written)
        .filter(|(number, unit)| unit.is_empty() && *number > 0)
        .and_then(|(number, _)| usize::try_from(number).ok())
        .ok_or_else(|| {
            Wrong::new(format!("{} is not a number from 1", shown(written)))
                .hint("write a number such as 1024")
        })
}

/// A count from nothing to `most`.
pub(super) fn count_to(node: &Node, most: usize) -> Result<usize, Wrong> {
    let written = text(node)?.trim();
    split_number(written)
        .filter(|(_, unit)| unit.is_empty())
        .and_then(|(number, _)| usize::try_from(number).ok())
        .filter(|number| *number <= most)
        .ok_or_else(|| {
            Wrong::new(format!("{} is not a number from 0 to {most}", shown(written)))
                .hint("write a number such as 10000, or 0 for none")
        })
}

/// Digits and what follows them; no sign, no fraction.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(at)?;
    Some((u64::from_str(digits).ok()?, unit))
}

/// An IP address and a port.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Wrong> {
    let text = text.trim();
    text.parse().map_err(|_| {
        let problem = format!("{} is not an IP address and a port", shown(text));
        let port = text.strip_prefix(':').unwrap_or(text);
        let local = text.strip_prefix("localhost:");
        Wrong::new(problem).hint(match (u16::from_str(port), local) {
            (Ok(port), _) => {
                format!("write 0.0.0.0:{port}, or 127.0.0.1:{port} for this host only")
            }
            (_, Some(port)) if u16::from_str(port).is_ok() => format!("write 127.0.0.1:{port}"),
            _ => "write them as 127.0.0.1:8080 or [::1]:8080".to_owned(),
        })
    })
}

/// How a duration is written.
pub(super) fn duration_text(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match (seconds, millis) {
        (seconds, 1..) => format!("{}ms", u128::from(seconds) * 1000 + u128::from(millis)),
        (0, _) => "0s".to_owned(),
        (seconds, _) if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, _) if seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, _) => format!("{seconds}s"),
    }
}

/// A written text as it may be shown: quoted and escaped, unless it may hold a secret.
pub(super) fn shown(text: &str) -> String {
    if looks_like_key(text) {
        return "a value that looks like key text".to_owned();
    }
    if text.trim_start().starts_with("eyJ") {
        return "a value that looks like a token".to_owned();
    }
    let is_url = text.contains("//");
    if is_url && may_hold_password(text) {
        return PASSWORD.to_owned();
    }
    // Query and fragment of a URL may hold secrets.
    match text.find(['?', '#']).filter(|_| is_url) {
        Some(at) => quoted(&format!("{}...", text.get(..at).unwrap_or_default())).to_string(),
        None => quoted(text).to_string(),
    }
}

/// Whether a text looks like PEM or JSON.
pub(super) fn looks_like_key(text: &str) -> bool {
    text.contains("-----") || text.trim_start().starts_with(['{', '['])
}

/// What is to be a URL, as it may be shown.
pub(super) fn shown_url(text: &str) -> String {
    if may_hold_password(text) { PASSWORD.to_owned() } else { shown(text) }
}

/// Stands for a URL that is not shown.
const PASSWORD: &str = "a URL that may hold a password";

/// Whether a URL has an `@`, or a colon after its host that no port follows.
fn may_hold_password(url: &str) -> bool {
    let after = url.split_once("//").map_or("", |(_, after)| after);
    let authority = after.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let port = authority.rsplit_once(']').map_or(authority, |(_, port)| port);
    let port = port.split_once(':').map_or("", |(_, port)| port);
    url.contains('@') || !port.chars().all(|c| c.is_ascii_digit())
}

/// A name as it may be shown: the line of a key that slipped out of its place is none.
pub(super) fn shown_name(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '<');
    let short = (1..=40).contains(&name.chars().count());
    if short && name.chars().all(plain) {
        quoted(name).to_string()
    } else {
        "a name that is not shown".to_owned()
    }
}

/// Every element of a list of words for a person.
pub(super) fn listed(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::error::Origin;
    use super::*;

    fn node(text: &str) -> Node {
        Node { origin: Origin::Code, kind: Kind::Text(text.to_owned()) }
    }

    #[test]
    fn durations() {
        for (written, millis) in
            [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("24h", 86_400_000), (" 0s ", 0)]
        {
            let read = duration(&node(written)).unwrap();
            assert_eq!(read.as_millis(), millis);
            assert_eq!(duration(&node(&duration_text(read))).unwrap(), read);
        }
        for written in ["", "5", "s", "5 m", "-5s", "1.5s", "5d", "forever", "99999999999999999h"] {
            assert!(duration(&node(written)).is_err(), "{written}");
        }
        assert_eq!(duration_or_forever(&node("forever")).unwrap(), None);
    }

    #[test]
    fn sizes_and_counts() {
        assert_eq!(size(&node("512"), 1024).unwrap(), 512);
        assert_eq!(size(&node("16KiB"), 1 << 20).unwrap(), 16_384);
        assert_eq!(size(&node("1MiB"), 1 << 20).unwrap(), 1 << 20);
        for written in ["", "0", "16KB", "16 KiB", "2MiB", "18446744073709551615MiB", "-1"] {
            assert!(size(&node(written), 1 << 20).is_err(), "{written}");
        }
        assert_eq!(count(&node("7")).unwrap(), 7);
        assert!(count(&node("0")).is_err());
        assert!(count(&node("1KiB")).is_err());
    }

    #[test]
    fn addresses_name_what_is_missing() {
        assert!(socket_address("[::1]:80").is_ok());
        let hint = |text| socket_address(text).unwrap_err().hint.unwrap();
        assert!(hint(":8080").contains("0.0.0.0:8080"));
        assert!(hint("localhost:9").contains("127.0.0.1:9"));
        assert!(hint("example.com:80").contains("127.0.0.1:8080"));
    }

    #[test]
    fn secrets_are_not_shown() {
        for secret in [
            "https://u:hunter2@h/",
            "-----BEGIN PRIVATE KEY-----hunter2",
            " {\"k\":\"hunter2\"}",
            "https://h/?key=hunter2",
            "https://h/#hunter2",
            "https://u:hunter2 h/",
            " eyJhbGciOiJIUzI1NiJ9.hunter2.hunter2",
        ] {
            assert!(!shown(secret).contains("hunter2"), "{secret}");
        }
        assert!(!shown_url("https:/u:hunter2@h/").contains("hunter2"));
        assert_eq!(shown_url("https://[::1]:80/x:y"), "\"https://[::1]:80/x:y\"");
        assert_eq!(shown("me@example.com"), "\"me@example.com\"");
        assert_eq!(shown_name("state_dir"), "\"state_dir\"");
        assert!(!shown_name("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ").contains("MII"));
        assert!(!shown_name("a+b/c=").contains("a+b"));
    }
}
