//! Random JSON from a seed, and damage to it.

pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    pub fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// A random object of about `bytes` bytes; about half of the objects have white space.
pub fn document(random: &mut Random, bytes: usize) -> String {
    let white: &[&str] = if random.below(2) == 0 { &[""] } else { &["", "", " ", "\n    ", "\t\t", "\r\n"] };
    let mut text = "{".to_owned();
    while text.len() < bytes {
        if text.len() > 1 {
            text.push(',');
        }
        text += random.one_of(white);
        string(random, &mut text);
        text += random.one_of(white);
        text.push(':');
        value(random, white, 1, &mut text);
        text += random.one_of(white);
    }
    text + "}"
}

fn value(random: &mut Random, white: &[&str], depth: usize, text: &mut String) {
    *text += random.one_of(white);
    match random.below(if depth > 12 { 5 } else { 9 }) {
        0 => *text += random.one_of(&["true", "false", "null"]),
        1 => *text += &(random.below(2_000_000) as i64 - 1_000_000).to_string(),
        2 => *text += &format!("{}", (random.below(2_000_000) as f64 - 1e6) / 1024.0),
        3 => *text += &format!("{:e}", random.below(2_000_000) as f64 / 1e9),
        4 | 5 => string(random, text),
        kind => {
            let is_object = kind == 6;
            text.push(if is_object { '{' } else { '[' });
            for n in 0..random.below(5) {
                if n > 0 {
                    text.push(',');
                }
                *text += random.one_of(white);
                if is_object {
                    string(random, text);
                    *text += random.one_of(white);
                    text.push(':');
                }
                value(random, white, depth + 1, text);
            }
            *text += random.one_of(white);
            text.push(if is_object { '}' } else { ']' });
        }
    }
}

fn string(random: &mut Random, text: &mut String) {
    text.push('"');
    let long = if random.below(10) == 0 { 200 } else { 6 };
    for _ in 0..random.below(long) {
        *text += random.one_of(&[
            "a", "key", " ", "{", "]", ":", ",", "true", "1.5", "é", "日本", "🦀", "\\n", "\\\"", "\\\\", "\\u00e9",
        ]);
    }
    text.push('"');
}

/// Changes one to three bytes, so that the text is nearly JSON.
pub fn damage(random: &mut Random, text: &mut Vec<u8>) {
    const BYTES: &[u8] = b"{}[]:,\"\\ \n\t0123456789.-+eEtrufalsn/bx\x00\x1f\x7f\xc3\xa9\xf0";
    for _ in 0..1 + random.below(3) {
        let at = random.below(text.len());
        match random.below(6) {
            0 => text[at] ^= 1 << random.below(8),
            1 => drop(text.remove(at)),
            2 => text.insert(at, BYTES[random.below(BYTES.len())]),
            3 => text[at] = BYTES[random.below(BYTES.len())],
            4 => {
                let other = random.below(text.len());
                text.swap(at, other);
            }
            _ => text.truncate(at.max(1)),
        }
        if text.is_empty() {
            text.push(b'[');
        }
    }
}
