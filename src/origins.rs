//! Where guests may send HTTP requests: to which origins, and to which addresses behind the host names.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where guests may send HTTP requests.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpGrant {
    /// The origins to which requests may go. All others are refused.
    pub allow: Vec<Origin>,
    /// Whether a request may go to a loopback, private, link-local or otherwise special address.
    pub allow_private: bool,
}

/// A scheme, a host and a port: `https://api.example.com`, `http://127.0.0.1:8080`, `https://*.example.org:8443`.
///
/// `*.` stands for one label or more, and never for none. An origin without a port has the port of its scheme (80, 443)
/// and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    /// The host in lower case, without a final dot and without a leading `*.`.
    host: String,
    is_wildcard: bool,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("http") => Some(Scheme::Http),
            _ if text.eq_ignore_ascii_case("https") => Some(Scheme::Https),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl Origin {
    /// Reads an entry of `capabilities.http.allow`, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, authority) = text.split_once("://").ok_or("has no `http://` or `https://`")?;
        let scheme = Scheme::parse(scheme).ok_or("has a scheme other than http and https")?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains(['/', '?', '#', '@']) {
            return Err("names more than a scheme, a host and a port".to_owned());
        }
        // The last colon begins a port, unless it is inside the brackets of an IPv6 address.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                let port = port.parse().ok().filter(|port| is_number && *port != 0);
                (host, port.ok_or("has a port that is not from 1 to 65535")?)
            }
            _ => (authority, scheme.port()),
        };
        let (is_wildcard, host) = match host.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, host),
        };
        let host = normal(host);
        if is_wildcard && (host.starts_with('[') || host.parse::<IpAddr>().is_ok()) {
            return Err("has `*.` before an address".to_owned());
        }
        let is_bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match is_bracketed {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => {
                let is_label = |label: &str| {
                    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                    (1..=63).contains(&label.len()) && label.bytes().all(is_known)
                };
                host.len() <= 253 && host.split('.').all(is_label)
            }
        };
        if !is_host {
            return Err("has a host that is neither a name in ASCII (punycode for others) nor an address".to_owned());
        }
        Ok(Origin { scheme, host, is_wildcard, port })
    }

    fn allows(&self, scheme: Scheme, host: &str, port: u16) -> bool {
        let is_host = match (self.is_wildcard, host.strip_suffix(&self.host)) {
            (false, rest) => rest == Some(""),
            (true, rest) => rest.is_some_and(|labels| labels.len() > 1 && labels.ends_with('.')),
        };
        self.scheme == scheme && self.port == port && is_host
    }
}

/// The normal form in which hosts are compared: `EXAMPLE.com.` becomes `example.com`.
fn normal(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    host.strip_suffix('.').map(str::to_owned).unwrap_or(host)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = if self.is_wildcard { "*." } else { "" };
        write!(f, "{}://{any}{}", self.scheme.as_str(), self.host)?;
        if self.port == self.scheme.port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Origin::parse(&text).map_err(|problem| de::Error::custom(format_args!("the origin {text:?} {problem}")))
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl HttpGrant {
    /// The port that a request goes to; `None` if its origin is not allowed.
    pub(crate) fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> Option<u16> {
        let scheme = Scheme::parse(scheme)?;
        let port = port.unwrap_or(scheme.port());
        let host = normal(host);
        self.allow.iter().any(|origin| origin.allows(scheme, &host, port)).then_some(port)
    }

    /// Whether a connection may go to an address.
    pub(crate) fn allows_address(&self, address: IpAddr) -> bool {
        self.allow_private || is_public(address)
    }
}

/// Whether an address is one of the public internet. These addresses are not:
///
/// - those that IANA's special-purpose address registries call not globally reachable (RFC 6890);
/// - multicast addresses;
/// - other addresses at which clouds give information about the machine itself.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        // Shared address space of carriers (RFC 6598). The metadata service of some clouds is in it.
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments (RFC 6890), the former 6to4 relays (RFC 7526), benchmarks (RFC 2544).
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b))
        // Reserved (RFC 1112). The broadcast address is in it.
        || a >= 240
        // The agent of Azure's hosts, among public addresses.
        || address == Ipv4Addr::new(168, 63, 129, 16))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast addresses are 2000::/3 (RFC 4291), without protocol assignments and Teredo (2001::/23) and without
    // documentation (2001:db8::/32, 3fff::/20).
    let is_special = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || (a == 0x3fff && b < 0x1000);
    a & 0xe000 == 0x2000 && !is_special
}

/// The IPv4 address that packets to an IPv6 address reach, if it is mapped (RFC 4291), translated (64:ff9b::/96, RFC
/// 6052) or tunnelled (2002::/16, RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(join(g, h)),
        (0x2002, ..) => Some(join(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(allow: &[&str]) -> HttpGrant {
        let allow = allow.iter().filter_map(|text| Origin::parse(text).ok()).collect();
        HttpGrant { allow, allow_private: false }
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        let grant = grant(&["https://api.example.com", "http://127.0.0.1:8080", "https://[::1]"]);
        for (scheme, host, port, expected) in [
            ("https", "api.example.com", None, Some(443)),
            ("HTTPS", "API.Example.COM.", Some(443), Some(443)),
            ("http", "api.example.com", Some(443), None),
            ("https", "api.example.com", Some(8443), None),
            ("https", "api.example.com.evil.org", None, None),
            ("https", "evilapi.example.com", None, None),
            ("https", "example.com", None, None),
            ("http", "127.0.0.1", Some(8080), Some(8080)),
            ("http", "127.0.0.1", None, None),
            ("https", "[::1]", None, Some(443)),
            ("ftp", "api.example.com", Some(443), None),
        ] {
            assert_eq!(grant.allows(scheme, host, port), expected, "{scheme}://{host}:{port:?}");
        }
    }

    #[test]
    fn a_star_is_one_label_or_more() {
        let grant = grant(&["https://*.example.org:8443"]);
        for (host, expected) in [
            ("a.example.org", true),
            ("b.a.example.org", true),
            ("example.org", false),
            (".example.org", false),
            ("aexample.org", false),
            ("evilexample.org", false),
            ("a.example.org.evil.net", false),
        ] {
            assert_eq!(grant.allows("https", host, Some(8443)).is_some(), expected, "{host}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https://*",
            "https://*.",
            "https://a.*.com",
            "https://*a.com",
            "https://example.com/path",
            "https://user@example.com",
            "https://example.com:0",
            "https://example.com:65536",
            "https://example.com:",
            "https://example.com:+80",
            "https://exa mple.com",
            "https://*.127.0.0.1",
            "https://[::1",
            "https://[::g]",
            "https://*.[::1]",
            "https://a..b",
            "https://bücher.example",
            "https://example.com?x",
        ] {
            assert!(Origin::parse(text).is_err(), "{text:?} was taken");
        }
        for text in ["https://example.com", "http://*.a-b_c.example:8080", "https://[2001:db8::1]:8443"] {
            assert_eq!(Origin::parse(text).map(|origin| origin.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn only_public_addresses_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.88.98.1",
            "192.88.100.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(text.parse().is_ok_and(is_public), "{text}");
        }
        for text in [
            "0.0.0.0",
            "127.0.0.1",
            "127.255.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "240.0.0.1",
            "168.63.129.16",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "100::1",
        ] {
            assert!(text.parse().is_ok_and(|address| !is_public(address)), "{text}");
        }
    }
}
