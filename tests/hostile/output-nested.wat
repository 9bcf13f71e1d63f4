;; Answers an array that is nested 100,000 deep.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 64) "{\"status\":\"ok\",\"output\":")
  (func $put (param $fd i32) (param $at i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (memory.fill (i32.const 88) (i32.const 0x5b) (i32.const 100000))
    (memory.fill (i32.const 100088) (i32.const 0x5d) (i32.const 100000))
    (i32.store8 (i32.const 200088) (i32.const 0x7d))
    (call $put (i32.const 1) (i32.const 64) (i32.const 200025))))
