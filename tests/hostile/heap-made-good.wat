;; Makes objects until its heap may not grow, goes on with what a collection has freed, and fails for another reason.
(module
  (type $bytes (array (mut i8)))
  (func (export "_start") (local $i i32)
    (loop $more
      (drop (array.new_default $bytes (i32.const 1000000)))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
    (unreachable)))
