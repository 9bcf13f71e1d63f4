;; Throws what nothing catches.
(module
  (tag $oops (param i32))
  (func (export "_start") (throw $oops (i32.const 1))))
