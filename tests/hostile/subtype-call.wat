;; Calls a function by a subtype of its type.
(module
  (type $a (sub (func)))
  (type $b (sub $a (func)))
  (table 1 funcref)
  (elem (i32.const 0) func $f)
  (func $f (type $a))
  (func (export "_start") (call_indirect (type $b) (i32.const 0))))
