;; Calls through a table past its end.
(module
  (type $plain (func))
  (table 1 funcref)
  (func (export "_start") (call_indirect (type $plain) (i32.const -1))))
