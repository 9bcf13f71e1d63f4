;; Is a reactor: it has `_initialize` and no `_start`.
(module
  (func (export "_initialize")))
