;; Throws what nothing catches before it has begun.
(module
  (tag $oops)
  (func $start (throw $oops))
  (start $start)
  (func (export "_start")))
