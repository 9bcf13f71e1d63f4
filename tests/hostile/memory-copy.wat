;; Copies half of its memory onto the other in one instruction, over and over.
(module
  (memory (export "memory") 128)
  (func (export "_start")
    (loop $forever
      (memory.copy (i32.const 0) (i32.const 0x400000) (i32.const 0x400000))
      (memory.copy (i32.const 0x400000) (i32.const 0) (i32.const 0x400000))
      (br $forever))))
