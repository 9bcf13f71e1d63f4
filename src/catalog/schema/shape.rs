//! How large and how deep a schema or a config is. This is measured before anything else is done with it.

use serde_json::Value;

/// The most levels of a value, as many as serde_json reads.
pub(super) const DEEPEST: usize = 128;

#[derive(Default)]
pub(super) struct Shape {
    pub objects: usize,
    pub depth: usize,
    /// The number of values of any kind.
    pub values: usize,
    /// The bytes of all texts and names.
    pub bytes: usize,
}

impl Shape {
    pub fn of(json: &Value) -> Self {
        let mut shape = Shape::default();
        shape.measure(json, 0);
        shape
    }

    fn measure(&mut self, json: &Value, depth: usize) {
        self.depth = self.depth.max(depth);
        self.values += 1;
        match json {
            Value::Object(map) => {
                self.objects += 1;
                for (name, value) in map {
                    self.bytes += name.len();
                    self.measure(value, depth + 1);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.measure(value, depth + 1)),
            Value::String(text) => self.bytes += text.len(),
            _ => {}
        }
    }
}

/// How many values a JSON text has, or a few more. The text need not be read for this.
pub(super) fn values_of(json: &str) -> usize {
    let (mut values, mut in_string, mut is_escaped) = (1, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' | b',' if !in_string => values += 1,
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_large_as_its_brackets_and_commas_and_not_its_strings() {
        for (json, values) in
            [("1", 1), ("{}", 2), ("[[],[[]]]", 6), (r#"{"[[,[[\"[[":[{}]}"#, 4), (r#"["\\",["[,"]]"#, 4)]
        {
            assert_eq!(values_of(json), values, "{json}");
        }
    }
}
