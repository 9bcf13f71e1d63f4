//! Absolute URLs of `http` and `https`.

use std::fmt;

use fluent_uri::component::Scheme;
use fluent_uri::{Uri, UriRef};

/// Where a request goes, without a fragment.
#[derive(Clone, Debug, PartialEq)]
pub struct Url(Uri<String>);

impl Url {
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri =
            Uri::parse(escaped(text)).map_err(|_| "not an absolute URL, such as https://example.com/".to_owned())?;
        Self::checked(uri)
    }

    /// What a redirect to `reference` leads to.
    pub fn join(&self, reference: &str) -> Result<Self, String> {
        let reference = UriRef::parse(escaped(reference)).map_err(|_| "not a URL".to_owned())?;
        Self::checked(reference.resolve_against(&self.0).map_err(|_| "not a URL".to_owned())?)
    }

    fn checked(uri: Uri<String>) -> Result<Self, String> {
        let scheme = uri.scheme().as_str().to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            return Err(format!("`{scheme}` is not a scheme for requests; `http` and `https` are"));
        }
        let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
            return Err("it has no host".to_owned());
        };
        if authority.has_userinfo() {
            return Err("it has a user in it, who belongs in an `authorization` header".to_owned());
        }
        if authority.host().contains('%') {
            return Err("its host is not in ASCII; punycode is".to_owned());
        }
        match authority.port_to_u16() {
            Ok(Some(0)) | Err(_) => Err("its port is not from 1 to 65535".to_owned()),
            Ok(_) => Ok(Url(uri)),
        }
    }

    pub fn is_secure(&self) -> bool {
        self.0.scheme() == Scheme::new_or_panic("https")
    }

    pub fn host(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.host())
    }

    fn port(&self) -> Option<u16> {
        self.0.authority().and_then(|authority| authority.port_to_u16().ok().flatten())
    }

    /// The host, and the port where one is written.
    pub fn authority(&self) -> String {
        match self.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        }
    }

    pub fn origin(&self) -> String {
        format!("{}://{}", if self.is_secure() { "https" } else { "http" }, self.authority().to_ascii_lowercase())
    }

    pub fn is_same_origin(&self, other: &Url) -> bool {
        let port = |url: &Url| url.port().unwrap_or(if url.is_secure() { 443 } else { 80 });
        self.is_secure() == other.is_secure()
            && self.host().eq_ignore_ascii_case(other.host())
            && port(self) == port(other)
    }

    pub fn path_and_query(&self) -> String {
        let path = Some(self.0.path().as_str()).filter(|path| !path.is_empty()).unwrap_or("/");
        match self.0.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }
}

/// As much as a person reads.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 200;
        // All ASCII, so that any byte ends a character.
        match self.0.as_str().get(..SHOWN) {
            Some(begin) if self.0.as_str().len() > SHOWN => write!(f, "{begin}…"),
            _ => f.write_str(self.0.as_str()),
        }
    }
}

/// The text without its fragment, and with what a URL may not have behind its host percent-encoded, as browsers do it.
fn escaped(text: &str) -> String {
    let text = text.split('#').next().unwrap_or_default();
    let begin = text.find("//").filter(|at| !text[..*at].contains(['/', '?']));
    let begin = begin.map_or(0, |at| text[at + 2..].find(['/', '?']).map_or(text.len(), |end| at + 2 + end));
    let mut escaped = text[..begin].to_owned();
    let bytes = &text.as_bytes()[begin..];
    for (at, byte) in bytes.iter().enumerate() {
        let is_escape = || bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match byte {
            b'%' if is_escape() => escaped.push('%'),
            _ if byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=".contains(byte) => {
                escaped.push(char::from(*byte))
            }
            _ => escaped += &format!("%{byte:02X}"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn parts() {
        for (text, origin, path) in [
            ("https://example.com", "https://example.com", "/"),
            ("HTTP://Example.COM:8080/a/../b?x=1#top", "http://example.com:8080", "/a/../b?x=1"),
            ("http://[::1]:80/?", "http://[::1]:80", "/?"),
            ("https://h:/a b/é?q[]=%41&p=100%&\\#f", "https://h", "/a%20b/%C3%A9?q%5B%5D=%41&p=100%25&%5C"),
            ("http://h?x", "http://h", "/?x"),
            ("http://h/a//b://c", "http://h", "/a//b://c"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.origin().as_str(), url.path_and_query().as_str()), (origin, path), "{text}");
        }
    }

    #[test]
    fn what_is_no_url() {
        for (text, reason) in [
            ("", "not an absolute URL"),
            ("example.com/a", "not an absolute URL"),
            ("//example.com/a", "not an absolute URL"),
            ("http://exa mple.com/", "not an absolute URL"),
            ("http://bücher.example/", "not an absolute URL"),
            ("http://h:port/", "not an absolute URL"),
            ("ftp://example.com/", "`ftp` is not a scheme"),
            ("file:///etc/passwd", "`file` is not a scheme"),
            ("https:example.com", "it has no host"),
            ("https:///a", "it has no host"),
            ("https://user:word@example.com/", "it has a user in it"),
            ("http://b%C3%BCcher.example/", "its host is not in ASCII"),
            ("http://h:0/", "its port is not from 1 to 65535"),
            ("http://h:65536/", "its port is not from 1 to 65535"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }

    #[test]
    fn redirects_are_relative() {
        let base = Url::parse("https://h:8443/a/b/c?x#f").unwrap();
        for (reference, joined) in [
            ("d", "https://h:8443/a/b/d"),
            ("../d?y", "https://h:8443/a/d?y"),
            ("/é", "https://h:8443/%C3%A9"),
            ("?y", "https://h:8443/a/b/c?y"),
            ("", "https://h:8443/a/b/c?x"),
            ("//other/x", "https://other/x"),
            ("http://other", "http://other"),
            ("../../../../d", "https://h:8443/d"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), joined, "{reference}");
        }
        assert!(base.join("ftp://h/").unwrap_err().starts_with("`ftp` is not a scheme"));
        assert!(base.join("http://[/").is_err());
    }

    #[test]
    fn origins() {
        let same = |a: &str, b: &str| Url::parse(a).unwrap().is_same_origin(&Url::parse(b).unwrap());
        assert!(same("https://h/a", "https://H:443/b?c"));
        assert!(same("http://h:80", "http://h"));
        for other in ["http://h", "https://h:8443", "https://x.h", "https://h.", "http://h:443"] {
            assert!(!same("https://h", other), "{other}");
        }
    }

    #[test]
    fn a_long_one_is_cut() {
        let url = Url::parse(&format!("http://h/{}", "é".repeat(1000))).unwrap();
        assert_eq!(url.to_string().chars().count(), 201);
    }
}
