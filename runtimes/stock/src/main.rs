//! `stock`: tells what of an order is missing in stock. It cannot know: it asks the host, by the function `stock.level`,
//! with `{"sku":"…"}`, and gets the number of pieces. With `{"wait":true}` it asks again until nothing is missing.

use serde::{Deserialize, Serialize};
use std::thread::sleep;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    wait: bool,
}

#[derive(Deserialize)]
struct Order {
    order: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    sku: String,
    quantity: u64,
}

#[derive(Serialize)]
struct Output {
    order: String,
    missing: Vec<Missing>,
}

#[derive(Serialize)]
struct Missing {
    sku: String,
    pieces: u64,
}

#[derive(Serialize)]
struct Question<'a> {
    sku: &'a str,
}

/// How long it waits before it asks again.
const AGAIN: Duration = Duration::from_millis(5);

fn stock(config: Config, order: Order, level: impl Fn(&str) -> Result<u64, String>) -> Result<Output, String> {
    loop {
        let mut missing = Vec::new();
        for item in &order.items {
            let pieces = item.quantity.saturating_sub(level(&item.sku)?);
            if pieces > 0 {
                missing.push(Missing { sku: item.sku.clone(), pieces });
            }
        }
        if missing.is_empty() || !config.wait {
            return Ok(Output { order: order.order, missing });
        }
        sleep(AGAIN);
    }
}

fn main() {
    arawn_sdk::run(|config, order| stock(config, order, |sku| arawn_sdk::host_call("stock.level", &Question { sku })));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const ORDER: &str =
        r#"{"order":"1","items":[{"sku":"A","quantity":2,"price":1},{"sku":"B","quantity":1}],"paid":true}"#;

    fn output(config: &str, level: impl Fn(&str) -> Result<u64, String>) -> Result<String, String> {
        let output = stock(serde_json::from_str(config).unwrap(), serde_json::from_str(ORDER).unwrap(), level)?;
        Ok(serde_json::to_string(&output).unwrap())
    }

    #[test]
    fn lists_what_is_missing() {
        let levels = |sku: &str| Ok(if sku == "A" { 0 } else { 5 });
        assert_eq!(output("{}", levels).unwrap(), r#"{"order":"1","missing":[{"sku":"A","pieces":2}]}"#);
        assert_eq!(output("{}", |_| Ok(2)).unwrap(), r#"{"order":"1","missing":[]}"#);
    }

    #[test]
    fn waits_until_all_is_there() {
        let asked = Cell::new(0);
        let arriving = |_: &str| {
            asked.set(asked.get() + 1);
            Ok(asked.get() / 2)
        };
        assert_eq!(output(r#"{"wait":true}"#, arriving).unwrap(), r#"{"order":"1","missing":[]}"#);
        assert_eq!(asked.get(), 6);
    }

    #[test]
    fn passes_on_what_the_host_says() {
        assert_eq!(output(r#"{"wait":true}"#, |sku| Err(format!("no {sku}"))).unwrap_err(), "no A");
    }
}
