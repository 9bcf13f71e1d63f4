;; Fills all of its memory in one instruction, over and over.
(module
  (memory (export "memory") 128)
  (func (export "_start")
    (loop $forever
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x800000))
      (br $forever))))
