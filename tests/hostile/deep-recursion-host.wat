;; Recurses to the stack's end with a host call in each frame.
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func $down
    (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0)))
    (call $down)
    (drop (i32.load (i32.const 0))))
  (func (export "_start") (call $down)))
