;; Has a `_start` that takes a parameter and gives a result.
(module
  (func (export "_start") (param i32) (result i32) (local.get 0)))
