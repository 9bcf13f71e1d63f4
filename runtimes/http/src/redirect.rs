//! Redirects, followed as the standard of `fetch` has it.

use crate::{Request, Response};

/// Headers that describe a body, and go with it.
const OF_THE_BODY: [&str; 5] =
    ["content-encoding", "content-language", "content-length", "content-location", "content-type"];
/// Headers that are meant for one origin.
const OF_THE_ORIGIN: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Sends a request, and those that it is redirected to; the last one and its response.
pub fn follow<B>(
    mut request: Request,
    max_redirects: u32,
    mut send: impl FnMut(&Request) -> Result<Response<B>, String>,
) -> Result<(Request, Response<B>), String> {
    let mut followed = 0;
    loop {
        let response = send(&request).map_err(|reason| request.failed(&reason))?;
        let location = match response.status {
            301 | 302 | 303 | 307 | 308 if max_redirects > 0 => response.header("location"),
            _ => None,
        };
        let Some(location) = location else { return Ok((request, response)) };
        if followed == max_redirects {
            return Err(request.failed(&format!("it redirects after `max_redirects` ({max_redirects}) redirects")));
        }
        followed += 1;
        let location = String::from_utf8_lossy(location);
        let url = request.url.join(&location);
        let url = url.map_err(|reason| {
            let begin: String = location.chars().take(200).collect();
            request.failed(&format!("it redirects to `{begin}`: {reason}"))
        })?;
        if !url.is_same_origin(&request.url) {
            request.headers.retain(|(name, _)| !OF_THE_ORIGIN.contains(&name.as_str()));
        }
        let becomes_get = match response.status {
            301 | 302 => request.method == "POST",
            303 => request.method != "GET" && request.method != "HEAD",
            _ => false,
        };
        if becomes_get {
            request.method = "GET".to_owned();
            request.body = None;
            request.headers.retain(|(name, _)| !OF_THE_BODY.contains(&name.as_str()));
        }
        request.url = url;
    }
}

#[cfg(test)]
mod tests {
    use super::follow;
    use crate::{Request, Response, Url};

    fn request(method: &str) -> Request {
        let headers = ["authorization", "cookie", "content-type", "content-length", "x-mine"];
        Request {
            method: method.to_owned(),
            url: Url::parse("https://a/1").unwrap(),
            headers: headers.map(|name| (name.to_owned(), "v".to_owned())).into(),
            body: Some(b"body".to_vec()),
        }
    }

    fn response(status: u16, location: &str) -> Response<()> {
        let headers = if location.is_empty() { vec![] } else { vec![("location".to_owned(), location.into())] };
        Response { status, headers, body: () }
    }

    /// The requests that are made while the server answers so; at last with 200.
    fn requests(first: Request, answers: &[(u16, &str)]) -> Vec<Request> {
        let (mut sent, mut answers) = (Vec::new(), answers.iter());
        let (last, answered) = follow(first, 10, |request| {
            sent.push(request.clone());
            let (status, location) = answers.next().copied().unwrap_or((200, ""));
            Ok(response(status, location))
        })
        .unwrap();
        assert_eq!((answered.status, &last), (200, sent.last().unwrap()));
        sent
    }

    fn names(request: &Request) -> Vec<&str> {
        request.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn the_method_becomes_get_where_it_must() {
        for (status, method, then) in [
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (303, "POST", "GET"),
            (303, "PUT", "GET"),
            (301, "PUT", "PUT"),
            (302, "DELETE", "DELETE"),
            (303, "HEAD", "HEAD"),
            (307, "POST", "POST"),
            (308, "POST", "POST"),
        ] {
            let sent = requests(request(method), &[(status, "/2")]);
            assert_eq!(
                (sent.len(), sent[1].method.as_str(), sent[1].url.to_string().as_str()),
                (2, then, "https://a/2")
            );
            let kept = then == method;
            assert_eq!(sent[1].body.is_some(), kept, "{status} {method}");
            let mut expected = vec!["authorization", "cookie", "content-type", "content-length", "x-mine"];
            expected.retain(|name| kept || !name.starts_with("content-"));
            assert_eq!(names(&sent[1]), expected, "{status} {method}");
        }
    }

    #[test]
    fn what_is_meant_for_one_origin_is_not_sent_to_another() {
        for location in ["http://a/2", "https://b/2", "https://a:8443/2", "//b"] {
            let sent = requests(request("GET"), &[(307, location), (307, "https://a/3")]);
            assert_eq!(names(&sent[1]), ["content-type", "content-length", "x-mine"], "{location}");
            // Nor does it come back.
            assert_eq!(names(&sent[2]), names(&sent[1]), "{location}");
        }
        assert_eq!(names(&requests(request("GET"), &[(307, "https://A:443/2")])[1]).len(), 5);
    }

    #[test]
    fn redirects_are_counted() {
        let redirected = |max, count| {
            let mut sent = 0;
            let answer = follow(request("GET"), max, |_| {
                sent += 1;
                Ok(if sent <= count { response(302, "/next") } else { response(200, "") })
            });
            answer.map(|(_, response)| (response.status, sent))
        };
        assert_eq!(redirected(3, 3), Ok((200, 4)));
        assert_eq!(redirected(0, 1), Ok((302, 1)));
        let error = redirected(3, 4).unwrap_err();
        assert_eq!(error, "GET https://a/next: it redirects after `max_redirects` (3) redirects");
    }

    #[test]
    fn what_is_no_redirect_is_an_answer() {
        for (status, location) in [(301, ""), (304, "/2"), (300, "/2"), (201, "/2")] {
            let (_, answered) = follow(request("GET"), 10, |_| Ok(response(status, location))).unwrap();
            assert_eq!(answered.status, status);
        }
    }

    #[test]
    fn a_redirect_to_nowhere() {
        let error = follow(request("GET"), 10, |_| Ok(response(302, "mailto:a@b"))).unwrap_err();
        assert!(
            error.starts_with("GET https://a/1: it redirects to `mailto:a@b`: `mailto` is not a scheme"),
            "{error}"
        );
    }
}
