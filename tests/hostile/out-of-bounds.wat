;; Reads at the far end of the address space, past the guard pages of a smaller one.
(module
  (memory (export "memory") 1)
  (func (export "_start") (drop (i64.load offset=0xffffffff (i32.const -1)))))
