//! What the pictures share as SVG: the head with the colours, and text as XML takes it.

/// A ground of the picture's own, so that its text is legible on any page, whether or not its reader sees the dark colours.
const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}
.title{font-size:15px;font-weight:bold}
.faint{font-size:11px;fill:#59636e}
.middle{text-anchor:middle}
.end{text-anchor:end}
.ground{fill:#fff;stroke:#d1d9e0}
.grid{stroke:#d1d9e0}
";
const DARK_STYLE: &str = "\
text{fill:#e6edf3}
.faint{fill:#9198a1}
.ground{fill:#0d1117;stroke:#30363d}
.grid{stroke:#30363d}
";

/// How a picture begins.
pub struct Head<'a> {
    pub width: f64,
    pub height: f64,
    /// What the picture shows, escaped.
    pub title: &'a str,
    /// Attributes of the picture's own, with a space before each.
    pub attributes: &'a str,
    /// The picture's own styles, and what of them differs on a dark ground.
    pub style: &'a str,
    pub dark_style: &'a str,
}

impl Head<'_> {
    /// All that stands before what the picture draws. `</svg>` ends the picture.
    pub fn svg(&self) -> String {
        let Self { width, height, title, attributes, style, dark_style } = self;
        let (right, bottom) = (width - 1.0, height - 1.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-label=\"{title}\"{attributes}>\n\
             <style>\n{STYLE}{style}@media (prefers-color-scheme:dark){{\n{DARK_STYLE}{dark_style}}}\n</style>\n\
             <rect class=\"ground\" x=\".5\" y=\".5\" width=\"{right}\" height=\"{bottom}\" rx=\"10\"/>\n"
        )
    }
}

/// Text for an element or an attribute. XML 1.0 has no way to write most control characters.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}
