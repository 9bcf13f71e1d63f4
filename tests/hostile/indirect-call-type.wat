;; Calls a function through a table as if it had another type.
(module
  (type $other (func (param i64) (result i64)))
  (table 1 funcref)
  (elem (i32.const 0) $plain)
  (func $plain)
  (func (export "_start") (drop (call_indirect (type $other) (i64.const 0) (i32.const 0)))))
