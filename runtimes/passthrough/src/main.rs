//! `passthrough`: takes any config and answers with its `RuntimeInput`, `{"config":…,"context":…}`.
//!
//! Both values are checked to be JSON and come back byte for byte: numbers keep their digits, strings their escapes.

use serde::Serialize;
use serde_json::value::RawValue;

#[cfg(target_os = "wasi")]
#[global_allocator]
static ALLOCATOR: arawn_sdk::Arena = arawn_sdk::Arena::new();

#[derive(Serialize)]
struct Output {
    config: &'static RawValue,
    context: &'static RawValue,
}

fn passthrough(config: &'static RawValue, context: &'static RawValue) -> Result<Output, String> {
    Ok(Output { config, context })
}

fn main() {
    arawn_sdk::run(passthrough);
}

#[cfg(test)]
mod tests {
    use super::passthrough;

    fn answer(input: &'static str) -> String {
        String::from_utf8(arawn_sdk::respond(input.as_bytes(), passthrough)).unwrap()
    }

    #[test]
    fn echoes_byte_for_byte() {
        assert_eq!(
            answer(
                r#"{"context":{"n":1.00e+2},"config":[ -0.0, "\u00e9\ud83d\ude00😀", 123456789012345678901234567890 ]}"#
            ),
            r#"{"status":"ok","output":{"config":[ -0.0, "\u00e9\ud83d\ude00😀", 123456789012345678901234567890 ],"context":{"n":1.00e+2}}}"#,
        );
    }

    #[test]
    fn missing_keys_are_empty_objects() {
        assert_eq!(answer("{}"), r#"{"status":"ok","output":{"config":{},"context":{}}}"#);
    }
}
