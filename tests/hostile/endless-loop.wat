;; Computes for ever.
(module
  (func (export "_start") (loop $forever (br $forever))))
