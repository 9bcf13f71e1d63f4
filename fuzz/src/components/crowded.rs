//! A component with many small things in it, up to what may be and beyond.

use arbitrary::{Result, Unstructured};

/// What there is to refer to.
const FIRST: &str = r#"
    (core module $m (memory (export "m") 1) (table (export "t") 1 funcref) (func (export "f")))
    (core instance $i (instantiate $m))
    (component $c (type $r (resource (rep i32))) (core func (canon resource.drop $r)))
    (instance $e (export "n" (component $c)))
    (type $r (resource (rep i32)))
    (type $f (func (param "a" (list string))))"#;

const ITEMS: [&str; 16] = [
    "(core module)",
    "(core instance (instantiate $m))",
    "(core instance (export \"m\" (memory $i \"m\")))",
    "(core type (func (param i32)))",
    "(core type (module (import \"a\" \"b\" (func)) (export \"c\" (memory 1))))",
    "(alias core export $i \"m\" (core memory))",
    "(alias core export $i \"f\" (core func))",
    "(alias export $e \"n\" (component))",
    "(alias outer 0 $f (type))",
    "(component)",
    "(instance (instantiate $c))",
    "(type (tuple u8 (list (option string))))",
    "(type (component (import \"a\" (func)) (export \"b\" (instance (export \"c\" (type (sub resource)))))))",
    "(type (instance (type (instance (type (instance (export \"a\" (func))))))))",
    "(core func (canon resource.new $r)) (core func (canon resource.rep $r))",
    "(func (canon lift (core func $i \"f\"))) (core func (canon resource.drop $r))",
];

/// The component, which takes nothing.
pub fn component(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut items = FIRST.to_owned();
    for _ in 0..choices.int_in_range(1..=6)? {
        let count = if choices.ratio(1, 16)? { 500 } else { [1, 1, 2, 4, 10, 30][choices.choose_index(6)?] };
        items += &choices.choose(&ITEMS)?.repeat(count);
    }
    let mut text = format!("(component {items})");
    let depth = if choices.ratio(1, 16)? { 20 } else { choices.int_in_range(0..=3)? };
    for _ in 0..depth {
        text = format!(
            "(component (component $c {}) (instance (instantiate $c)))",
            &text["(component".len()..text.len() - 1]
        );
    }
    Ok(wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}
