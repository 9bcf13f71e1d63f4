use std::borrow::Cow;

use crate::cost;
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{self, *};

// covert ecma regex to rust regex if possible
// see https://262.ecma-international.org/11.0/#sec-regexp-regular-expression-objects
pub(crate) fn convert(pattern: &str) -> Result<Cow<str>, Box<dyn std::error::Error>> {
    let mut pattern = Cow::Borrowed(pattern);

    let ast = loop {
        crate::meter::spend(pattern.len() * cost::BYTE);
        match Parser::new().parse(pattern.as_ref()) {
            Ok(ast) => break ast,
            Err(e) => {
                if let Some(s) = fix_error(&e) {
                    pattern = Cow::Owned(s);
                } else {
                    Err(e)?;
                }
            }
        }
    };

    let translator = Translator {
        pat: pattern.as_ref(),
        replaced: vec![],
    };
    if let Some(updated_pattern) = ast::visit(&ast, translator)? {
        crate::meter::spend(updated_pattern.len() * cost::BYTE);
        match Parser::new().parse(&updated_pattern) {
            Ok(_) => pattern = Cow::Owned(updated_pattern),
            Err(e) => debug_assert!(
                false,
                "ecma::translate changed {:?} to {:?}: {e}",
                pattern, updated_pattern
            ),
        }
    }
    Ok(pattern)
}

// handle \c{control_letter}: the first, at which the parser stopped, and those after it
fn fix_error(e: &Error) -> Option<String> {
    let ErrorKind::EscapeUnrecognized = e.kind() else {
        return None;
    };
    let start = e.span().start.offset;
    let (before, mut rest) = e.pattern().split_at(start);
    control_letter(rest)?;
    let mut fixed = before.to_owned();
    while let Some(at) = rest.find('\\') {
        fixed.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = match control_letter(rest) {
            Some(letter) => {
                fixed.push((letter % 32) as char);
                3
            }
            None => {
                let escaped = rest[1..].chars().next().map_or(0, char::len_utf8);
                fixed.push_str(&rest[..1 + escaped]);
                1 + escaped
            }
        };
        rest = &rest[len..];
    }
    fixed.push_str(rest);
    Some(fixed)
}

// the letter of the \c{control_letter} that a text begins with
fn control_letter(text: &str) -> Option<u8> {
    let letter = *text.strip_prefix(r"\c")?.as_bytes().first()?;
    letter.is_ascii_alphabetic().then_some(letter)
}

/**
handles following translations:
-  \d should ascii digits only. so replace with [0-9]
-  \D should match everything but ascii digits. so replace with [^0-9]
-  \w should match ascii letters only. so replace with [a-zA-Z0-9_]
-  \W should match everything but ascii letters. so replace with [^a-zA-Z0-9_]
-  \s and \S differences
-  \a is not an ECMA 262 control escape
*/
struct Translator<'a> {
    pat: &'a str,
    // where, and with what, in the order of the pattern
    replaced: Vec<(Span, &'static str)>,
}

impl Translator<'_> {
    fn replace(&mut self, span: &Span, with: &'static str) {
        self.replaced.push((*span, with));
    }

    fn replace_class_class(&mut self, perl: &ClassPerl) {
        match perl.kind {
            ClassPerlKind::Digit => {
                self.replace(&perl.span, if perl.negated { "[^0-9]" } else { "[0-9]" });
            }
            ClassPerlKind::Word => {
                let with = if perl.negated {
                    "[^A-Za-z0-9_]"
                } else {
                    "[A-Za-z0-9_]"
                };
                self.replace(&perl.span, with);
            }
            ClassPerlKind::Space => {
                let with = if perl.negated {
                    "[^ \t\n\r\u{000b}\u{000c}\u{00a0}\u{feff}\u{2003}\u{2029}]"
                } else {
                    "[ \t\n\r\u{000b}\u{000c}\u{00a0}\u{feff}\u{2003}\u{2029}]"
                };
                self.replace(&perl.span, with);
            }
        }
    }
}

impl Visitor for Translator<'_> {
    type Output = Option<String>;
    type Err = &'static str;

    fn finish(self) -> Result<Self::Output, Self::Err> {
        if self.replaced.is_empty() {
            return Ok(None);
        }
        let (mut out, mut end) = (String::new(), 0);
        for (span, with) in &self.replaced {
            out.push_str(&self.pat[end..span.start.offset]);
            out.push_str(with);
            end = span.end.offset;
        }
        out.push_str(&self.pat[end..]);
        Ok(Some(out))
    }

    fn visit_class_set_item_pre(&mut self, ast: &ast::ClassSetItem) -> Result<(), Self::Err> {
        if let ClassSetItem::Perl(perl) = ast {
            self.replace_class_class(perl);
        }
        Ok(())
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        match ast {
            Ast::ClassPerl(perl) => {
                self.replace_class_class(perl);
            }
            Ast::Literal(ref literal) => {
                if let Literal {
                    kind: LiteralKind::Special(SpecialLiteralKind::Bell),
                    ..
                } = literal.as_ref()
                {
                    return Err("\\a is not an ECMA 262 control escape");
                }
            }
            _ => (),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_ecma_compat_valid() {
        // println!("{:#?}", Parser::new().parse(r#"a\a"#));
        let tests = [
            (r"ab\cAcde\cBfg", "ab\u{1}cde\u{2}fg"), // \c{control_letter}
            (r"\\comment", r"\\comment"),            // there is no \c
            (r"ab\def", r#"ab[0-9]ef"#),             // \d
            (r"ab[a-z\d]ef", r#"ab[a-z[0-9]]ef"#),   // \d inside classSet
            (r"ab\Def", r#"ab[^0-9]ef"#),            // \d
            (r"ab[a-z\D]ef", r#"ab[a-z[^0-9]]ef"#),  // \D inside classSet
            (r"\d[\da\D&&\d]\d", "[0-9][[0-9]a[^0-9]&&[0-9]][0-9]"), // several
            (r"\ca\\cb\cC\d", "\u{1}\\\\cb\u{3}[0-9]"),
        ];
        for (input, want) in tests {
            match convert(input) {
                Ok(got) => {
                    if got.as_ref() != want {
                        panic!("convert({input:?}): got: {got:?}, want: {want:?}");
                    }
                }
                Err(e) => {
                    panic!("convert({input:?}) failed: {e}");
                }
            }
        }
    }

    #[test]
    fn test_ecma_compat_invalid() {
        // println!("{:#?}", Parser::new().parse(r#"a\a"#));
        let tests = [
            r"\c\n",     // \c{invalid_char}
            r"abc\adef", // \a is not valid
        ];
        for input in tests {
            if convert(input).is_ok() {
                panic!("convert({input:?}) mut fail");
            }
        }
    }
}
