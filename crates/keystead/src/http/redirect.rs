//! Where a redirect leads, and whether it is followed.

use http::StatusCode;
use http::header::{HeaderMap, LOCATION};
use keystead_core::text::quoted;
use url::Url;

use super::error::{FetchCode, FetchError, Stage};
use super::url::holds_userinfo;

/// How many redirects one attempt follows.
pub(super) const LIMIT: usize = 5;

/// Whether the status is a redirect (RFC 9110 section 15.4) that says where to go.
pub(super) const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The address to ask instead of `url`: on the same origin, or on the same host from http to https.
///
/// What is refused is shown by its origin alone, because the rest of a `Location` may hold secrets.
pub(super) fn target(
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Url, FetchError> {
    let refuse = |code, to: &str| {
        let detail = format!("the answer is a redirect ({}) to {to}", status.as_u16());
        let mut error = FetchError::new(Stage::Status, code, url, detail);
        error.status = Some(status.as_u16());
        error
    };
    let redirect = |to: &str| refuse(FetchCode::Redirect, to);
    let location = headers.get(LOCATION).ok_or_else(|| redirect("nowhere (no Location)"))?;
    let target = location.to_str().ok().and_then(|location| url.join(location).ok());
    let mut target = target.ok_or_else(|| redirect("a Location that is no URL"))?;
    if holds_userinfo(&target) {
        return Err(refuse(FetchCode::BadUrl, "a URL that holds a user name or password"));
    }
    if !target.origin().is_tuple() {
        let scheme = quoted(target.scheme());
        return Err(redirect(&format!("scheme {scheme}, which is not followed")));
    }
    if !may_follow(url, &target) {
        let origin = target.origin().ascii_serialization();
        let (origin, why) = (quoted(&origin), looks_like(url, &target));
        return Err(redirect(&format!("{origin}, which is not followed{why}")));
    }
    target.set_fragment(None);
    Ok(target)
}

/// One redirect more than is followed.
pub(super) fn too_many(url: &Url) -> FetchError {
    let detail = format!("the answer is a redirect after {LIMIT} redirects, which is not followed");
    FetchError::new(Stage::Status, FetchCode::Redirect, url, detail)
}

fn may_follow(from: &Url, to: &Url) -> bool {
    // `port()` leaves out the default port of the scheme.
    let upgraded = from.scheme() == "http"
        && to.scheme() == "https"
        && from.host() == to.host()
        && from.port().is_none()
        && to.port().is_none();
    upgraded || from.origin() == to.origin()
}

/// What the operator should make of it.
fn looks_like(from: &Url, to: &Url) -> &'static str {
    const LOGIN: [&str; 8] =
        ["login", "logon", "signin", "sign-in", "sign_in", "sso", "auth", "saml"];
    let place = format!("{}{}", to.host_str().unwrap_or_default(), to.path()).to_lowercase();
    if from.host() != to.host() && LOGIN.iter().any(|word| place.contains(word)) {
        "; it looks like a login redirect"
    } else if from.scheme() == "https" && to.scheme() == "http" {
        "; it leads from https to http"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn led(from: &str, location: &str) -> Result<String, FetchError> {
        let location = HeaderValue::from_bytes(location.as_bytes()).unwrap();
        let headers = HeaderMap::from_iter([(LOCATION, location)]);
        target(&Url::parse(from).unwrap(), StatusCode::FOUND, &headers).map(String::from)
    }

    /// T24
    #[test]
    fn a_redirect_stays_on_its_origin_or_goes_to_https_on_its_host() {
        for (from, location, to) in [
            ("https://h/a/b?x", "c", "https://h/a/c"),
            ("https://h/a/b", "/c?y=1#f", "https://h/c?y=1"),
            ("https://h/a", "//h/b", "https://h/b"),
            ("https://h/a", "https://H:443/b", "https://h/b"),
            ("http://h:8080/a", "http://h:8080/b", "http://h:8080/b"),
            ("http://h/a", "https://h/a", "https://h/a"),
            ("http://h:80/a", "https://h:443/a", "https://h/a"),
            ("https://h/a", "\\b", "https://h/b"),
        ] {
            assert_eq!(led(from, location).as_deref(), Ok(to), "{from} {location}");
        }
        for (from, location) in [
            ("https://h/a", "https://x.h/a"),
            ("https://h/a", "http://h/a"),
            ("https://h/a", "https://h:8443/a"),
            ("https://h/a", "//x/a"),
            ("https://h/a", "\\\\x\\a"),
            ("http://h:8080/a", "https://h:8443/a"),
            ("http://h:8080/a", "https://h/a"),
            ("http://h/a", "https://h:8443/a"),
            ("http://h/a", "https://h./a"),
            ("https://h/a", "file:///etc/passwd"),
            ("https://h/a", "https://"),
            ("https://h/a", "https://h\u{e9}/"),
        ] {
            assert_eq!(led(from, location).unwrap_err().code, FetchCode::Redirect, "{location}");
        }
    }

    /// T25
    #[test]
    fn a_password_in_a_redirect_is_refused_and_not_echoed() {
        for location in [
            "https://u:hunter2@h/a",
            "//u:hunter2@h/a",
            "https://hunter2@x/",
            "https://u:hunter2@/",
            "https://x/hunter2?hunter2#hunter2",
        ] {
            let error = led("https://h/", location).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        let error = led("https://h/", "//u:hunter2@h/a").unwrap_err();
        assert_eq!((error.code, error.status), (FetchCode::BadUrl, Some(302)));
        let to = "a URL that holds a user name or password";
        assert_eq!(error.detail, format!("the answer is a redirect (302) to {to}"));
    }

    /// K20
    #[test]
    fn a_redirect_to_a_login_page_says_so() {
        let said = |from, location| led(from, location).unwrap_err().detail;
        let begin =
            "the answer is a redirect (302) to \"https://sso.example\", which is not followed";
        assert_eq!(
            said("https://h/keys", "https://sso.example/oauth2/start?rd=secret"),
            format!("{begin}; it looks like a login redirect")
        );
        assert!(said("https://h/keys", "http://h/keys").ends_with("; it leads from https to http"));
        assert!(said("https://h/keys", "https://cdn.example/keys").ends_with("not followed"));
    }
}
