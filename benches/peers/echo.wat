;; A WASI command that answers its stdin: {"status":"ok","output":STDIN}. It looks at no byte of it.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))

  ;; 0: address and length of what is read or written; 8: how much it was; 40: the reply, whose input begins at 64.
  (memory (export "memory") 20)
  (data (i32.const 40) "{\"status\":\"ok\",\"output\":")

  (func (export "_start") (local $end i32) (local $at i32)
    (local.set $end (i32.const 64))
    (loop $read
      (i32.store (i32.const 0) (local.get $end))
      (i32.store (i32.const 4) (i32.sub (i32.const 1310000) (local.get $end)))
      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
      (local.set $end (i32.add (local.get $end) (i32.load (i32.const 8))))
      (br_if $read (i32.load (i32.const 8))))
    (i32.store8 (local.get $end) (i32.const 125)) ;; }
    (local.set $end (i32.add (local.get $end) (i32.const 1)))

    (local.set $at (i32.const 40))
    (loop $write
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (i32.sub (local.get $end) (local.get $at)))
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
      (br_if $write (i32.lt_u (local.get $at) (local.get $end))))))
