;; Calls host functions by a name of 15 MB, for ever.
(module
  (import "arawn" "host_call" (func $call (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 240)
  (func (export "_start")
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 15000000))
    (loop $more (drop (call $call (i32.const 0) (i32.const 15000000) (i32.const 0) (i32.const 1))) (br $more))))
