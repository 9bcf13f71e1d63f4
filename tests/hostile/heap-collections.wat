;; Keeps about as many objects as half of the heap has room for, and has them copied again and again.
(module
  (type $list (struct (field (ref null $list))))
  (type $bytes (array (mut i8)))
  (global $all (mut (ref null $list)) (ref.null $list))
  (func (export "_start") (local $i i32)
    (loop $more
      (global.set $all (struct.new $list (global.get $all)))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))
    (loop $for_ever (drop (array.new_default $bytes (i32.const 100000))) (br $for_ever))))
