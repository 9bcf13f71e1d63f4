;; Answers "compiled" to whatever it is asked.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "{\22status\22:\22ok\22,\22output\22:\22compiled\22}")
  (data (i32.const 0) "\10\00\00\00\23\00\00\00")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
