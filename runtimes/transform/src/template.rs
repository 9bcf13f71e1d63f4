//! Taking a template apart.
//!
//! `{{path}}` is replaced by a value, `{{'text'}}` by the text between the quotes: so `{{` itself is written `{{'{{'}}`.
//! White space around what the braces hold does not count. All else is text, single braces too; of more than two opening
//! braces in a row the last two count, so that `{{{id}}}` is a value in braces.

/// A piece of a template.
#[derive(Debug, PartialEq)]
pub(crate) enum Part<'a> {
    Text(&'a str),
    Path(&'a str),
}

/// The parts in their order; after an error there are none.
pub(crate) fn parts(template: &str) -> impl Iterator<Item = Result<Part<'_>, String>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (text, after) = rest.split_at(opening(rest));
        let at = template.len() - after.len();
        let inside = after.strip_prefix("{{");
        if !text.is_empty() || inside.is_none() {
            rest = after;
            return (!text.is_empty()).then_some(Ok(Part::Text(text)));
        }
        match inside.and_then(insertion) {
            Some((part, after)) => {
                rest = after;
                Some(Ok(part))
            }
            None => {
                rest = "";
                Some(Err(format!("the `{{{{` at byte {at} is not closed; to write a `{{{{`, write `{{{{'{{{{'}}}}`")))
            }
        }
    })
}

/// Where the first insertion begins, or the end.
fn opening(text: &str) -> usize {
    let Some(first) = text.find("{{") else { return text.len() };
    let braces = text[first..].bytes().take_while(|byte| *byte == b'{').count();
    first + braces - 2
}

/// What begins behind a `{{`, and the template behind its `}}`; `None` where there is none.
fn insertion(inside: &str) -> Option<(Part<'_>, &str)> {
    let inside = inside.trim_start();
    if let Some(text) = inside.strip_prefix('\'') {
        let (text, after) = text.split_once('\'')?;
        return Some((Part::Text(text), after.trim_start().strip_prefix("}}")?));
    }
    let end = path_end(inside)?;
    Some((Part::Path(inside[..end].trim_end()), &inside[end + 2..]))
}

/// Where the first `}}` is that no quoted key has in it. A quote opens where a key can begin; further on it is part of one.
fn path_end(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped, mut before) = (false, false, b'.');
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' if is_quoted || before == b'.' => is_quoted = !is_quoted,
            b'}' if !is_quoted && text[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
        before = byte;
    }
    None
}
