//! What the host says of a request that failed, in words that say what to do about it.

use wasip2::http::types::ErrorCode;

use crate::Url;

/// The reason, to be read behind the request.
pub fn reason(code: &ErrorCode, url: &Url) -> String {
    use ErrorCode as Code;
    let host = url.host();
    let text = match code {
        Code::HttpRequestDenied => return format!("`{}` is not allowed by `capabilities.http.allow`", url.origin()),
        Code::DestinationIpProhibited => {
            return format!("`{host}` is at a private address, which `capabilities.http.allow_private` does not allow");
        }
        Code::DnsTimeout => return format!("the name `{host}` could not be resolved in time"),
        Code::DnsError(error) => {
            let why = error.rcode.as_ref().map_or(String::new(), |why| format!(": {why}"));
            return format!("the name `{host}` was looked up and could not be resolved{why}");
        }
        Code::DestinationNotFound => return format!("the name `{host}` has no address"),
        Code::DestinationUnavailable => "the server cannot be reached",
        Code::DestinationIpUnroutable => "no way leads to the server's address",
        Code::ConnectionRefused => "the server refused the connection",
        Code::ConnectionTerminated => "the connection ended before there was an answer",
        Code::ConnectionTimeout => "the server did not take the connection in time",
        Code::ConnectionReadTimeout | Code::HttpResponseTimeout => "the server did not answer in time",
        Code::ConnectionWriteTimeout => "the server did not take the request in time",
        Code::ConnectionLimitReached => "there are too many connections",
        Code::TlsCertificateError => "the server's certificate is not trusted",
        Code::TlsProtocolError => "no TLS connection to the server came about",
        Code::TlsAlertReceived(alert) => {
            let why = alert.alert_message.as_ref().map_or(String::new(), |why| format!(": {why}"));
            return format!("the server ended TLS{why}");
        }
        Code::HttpRequestMethodInvalid => "its method is not valid",
        Code::HttpRequestUriInvalid => "its URL is not valid",
        Code::HttpRequestUriTooLong => "its URL is too long",
        Code::HttpRequestLengthRequired => "the length of its body is needed",
        Code::HttpRequestBodySize(_) => "its body has another length than its `content-length`",
        Code::HttpRequestHeaderSectionSize(_) | Code::HttpRequestHeaderSize(_) => "its headers are too large",
        Code::HttpRequestTrailerSectionSize(_) | Code::HttpRequestTrailerSize(_) => "its trailers are too large",
        Code::HttpResponseIncomplete => "the response is incomplete: the connection ended before it was complete",
        Code::HttpResponseHeaderSectionSize(_) | Code::HttpResponseHeaderSize(_) => {
            "the response's headers are too large"
        }
        Code::HttpResponseTrailerSectionSize(_) | Code::HttpResponseTrailerSize(_) => {
            "the response's trailers are too large"
        }
        Code::HttpResponseBodySize(_) => "the response is too large",
        Code::HttpResponseTransferCoding(_) => "the response has a transfer coding that is not known",
        Code::HttpResponseContentCoding(_) => "the response has a content coding that is not known",
        Code::HttpUpgradeFailed => "the server asks for another protocol",
        Code::HttpProtocolError => "the server breaks the protocol: what it answers is not HTTP",
        Code::LoopDetected => "the request came back to where it was sent from",
        Code::ConfigurationError => "the host is not set up for requests",
        Code::InternalError(None) => "the request failed",
        Code::InternalError(Some(why)) => return format!("the request failed: {why}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use wasip2::http::types::{DnsErrorPayload, ErrorCode, TlsAlertReceivedPayload};

    use super::{Url, reason};

    #[test]
    fn reasons_name_what_they_are_about() {
        let url = Url::parse("https://API.example.com:8443/secret?token").unwrap();
        let dns = DnsErrorPayload { rcode: Some("NXDOMAIN".to_owned()), info_code: None };
        let alert = TlsAlertReceivedPayload { alert_id: Some(48), alert_message: Some("unknown CA".to_owned()) };
        for (code, text) in [
            (
                ErrorCode::HttpRequestDenied,
                "`https://api.example.com:8443` is not allowed by `capabilities.http.allow`",
            ),
            (ErrorCode::DestinationIpProhibited, "`API.example.com` is at a private address"),
            (ErrorCode::DnsError(dns), "the name `API.example.com` was looked up and could not be resolved: NXDOMAIN"),
            (ErrorCode::DnsTimeout, "the name `API.example.com` could not be resolved in time"),
            (ErrorCode::DestinationNotFound, "the name `API.example.com` has no address"),
            (ErrorCode::ConnectionRefused, "the server refused the connection"),
            (ErrorCode::TlsAlertReceived(alert), "the server ended TLS: unknown CA"),
            (ErrorCode::TlsCertificateError, "the server's certificate is not trusted"),
            (
                ErrorCode::HttpResponseIncomplete,
                "the response is incomplete: the connection ended before it was complete",
            ),
            (ErrorCode::InternalError(Some("why".to_owned())), "the request failed: why"),
            (ErrorCode::InternalError(None), "the request failed"),
        ] {
            let reason = reason(&code, &url);
            assert!(reason.starts_with(text) && !reason.contains("token"), "{reason}");
        }
    }
}
