;; Takes nearly all of its memory, and wants the rest twice over for objects.
(module
  (type $bytes (array (mut i8)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.eq (memory.grow (i32.const 239)) (i32.const -1)) (then (return)))
    (drop (array.new_default $bytes (i32.const 0x100000)))))
