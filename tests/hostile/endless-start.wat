;; Never gets out of its start function.
(module
  (func $start (loop $forever (br $forever)))
  (start $start)
  (func (export "_start")))
